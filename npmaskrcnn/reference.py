"""Slow twins: the operations that make the most of arrays once more, in loops, straight from the definition.

Nothing here is meant to be fast. Each function is the definition written down, one number at a time,
so that it can be checked by eye; the tests run the operations of `npmaskrcnn.ops` against these
twins, and the notebooks show them first.
"""

import itertools
import math

import numpy as np

from .plain.windows import pair

# ---- images and feature maps: convolution, pooling, normalization, upsampling ----


def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    """Convolution of (N, H, W, C_in) images with a (kh, kw, C_in / groups, C_out) weight.

    Every output number is the sum of its window times the kernel of its channel.

    Examples
    --------
    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1)), padding=1)[0, :, :, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    (sy, sx), (py, px) = pair(stride), pair(padding)
    n, h, w, _ = x.shape
    kh, kw, c_group, c_out = weight.shape
    padded = np.pad(x, ((0, 0), (py, py), (px, px), (0, 0)))
    y = np.zeros((n, (h + 2 * py - kh) // sy + 1, (w + 2 * px - kw) // sx + 1, c_out), x.dtype)
    for image, i, j, channel in np.ndindex(y.shape):
        first = channel // (c_out // groups) * c_group  # the first input channel that this group sees
        window = padded[image, i * sy : i * sy + kh, j * sx : j * sx + kw, first : first + c_group]
        y[image, i, j, channel] = np.sum(window * weight[:, :, :, channel])
    return y if bias is None else y + bias


def conv_transpose2d(x, weight, bias=None, stride=1):
    """Transposed convolution with a (kh, kw, C_in, C_out) weight: every input pixel stamps its own kernel."""
    sy, sx = pair(stride)
    n, h, w, c_in = x.shape
    kh, kw, _, c_out = weight.shape
    y = np.zeros((n, (h - 1) * sy + kh, (w - 1) * sx + kw, c_out), x.dtype)
    for image, i, j, channel in np.ndindex(x.shape):
        stamp = x[image, i, j, channel] * weight[:, :, channel]
        y[image, i * sy : i * sy + kh, j * sx : j * sx + kw] += stamp
    return y if bias is None else y + bias


def max_pool2d(x, kernel_size, stride, padding=0):
    """The largest number of every window, channel by channel; the padding never wins."""
    (kh, kw), (sy, sx), (py, px) = pair(kernel_size), pair(stride), pair(padding)
    n, h, w, c = x.shape
    padded = np.pad(x, ((0, 0), (py, py), (px, px), (0, 0)), constant_values=-np.inf)
    y = np.zeros((n, (h + 2 * py - kh) // sy + 1, (w + 2 * px - kw) // sx + 1, c), x.dtype)
    for image, i, j, channel in np.ndindex(y.shape):
        y[image, i, j, channel] = np.max(padded[image, i * sy : i * sy + kh, j * sx : j * sx + kw, channel])
    return y


def batch_norm(x, weight, bias, eps=1e-5):
    """Normalize each channel of (N, H, W, C) features by its own mean and variance over the batch."""
    y = np.zeros_like(x)
    for channel in range(x.shape[3]):
        values = x[..., channel]
        mean = np.mean(values)
        variance = np.mean((values - mean) ** 2)
        y[..., channel] = (values - mean) / math.sqrt(variance + eps) * weight[channel] + bias[channel]
    return y


def upsample_nearest(x, size):
    """Each output pixel copies the input pixel that lies at the same fraction of the height and width.

    Fractions are rounded down to a pixel in float32, as torch does it.
    """
    n, h, w, c = x.shape
    y = np.zeros((n, *size, c), x.dtype)
    for i, j in np.ndindex(*size):
        row = min(int(np.float32(i) * (np.float32(h) / np.float32(size[0]))), h - 1)
        column = min(int(np.float32(j) * (np.float32(w) / np.float32(size[1]))), w - 1)
        y[:, i, j] = x[:, row, column]
    return y


# ---- boxes and regions: IoU, NMS, RoIAlign, RoIPool; the loss over classes ----


def box_iou(boxes1, boxes2):
    """Intersection over union of every pair: (N, 4) and (M, 4) boxes give (N, M)."""
    iou = np.zeros((len(boxes1), len(boxes2)))
    for i, j in np.ndindex(iou.shape):
        iou[i, j] = _iou_of_two(boxes1[i].tolist(), boxes2[j].tolist())
    return iou


def _iou_of_two(box1, box2):
    left, right = max(box1[0], box2[0]), min(box1[2], box2[2])
    top, bottom = max(box1[1], box2[1]), min(box1[3], box2[3])
    inter = max(right - left, 0.0) * max(bottom - top, 0.0)
    area1 = (box1[2] - box1[0]) * (box1[3] - box1[1])
    area2 = (box2[2] - box2[0]) * (box2[3] - box2[1])
    union = area1 + area2 - inter
    return inter / union if union else math.nan


def nms(boxes, scores, iou_threshold):
    """Indices of the boxes that no better-scored kept box overlaps by more than the threshold."""
    best_first = sorted(range(len(boxes)), key=lambda i: -scores[i])  # a stable sort: ties keep input order
    keep = []
    for i in best_first:
        if not any(_iou_of_two(boxes[i].tolist(), boxes[j].tolist()) > iou_threshold for j in keep):
            keep.append(i)
    return np.array(keep, dtype=np.int64)


def roi_align(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Average of bilinear samples in each bin: (N, H, W, C) maps and (R, 5) rois give (R, P, Q, C)."""
    num_bins_y, num_bins_x = pair(output_size)
    offset = 0.5 if aligned else 0.0
    y = np.zeros((len(rois), num_bins_y, num_bins_x, features.shape[3]), dtype=features.dtype)
    for r, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        start_y, start_x = y1 * spatial_scale - offset, x1 * spatial_scale - offset
        height, width = y2 * spatial_scale - offset - start_y, x2 * spatial_scale - offset - start_x
        if not aligned:
            height, width = max(height, 1.0), max(width, 1.0)
        bin_h, bin_w = height / num_bins_y, width / num_bins_x
        grid_h = sampling_ratio if sampling_ratio > 0 else math.ceil(bin_h)
        grid_w = sampling_ratio if sampling_ratio > 0 else math.ceil(bin_w)
        for p, q in np.ndindex(num_bins_y, num_bins_x):
            total = 0.0
            for iy, ix in itertools.product(range(grid_h), range(grid_w)):
                sample_y = start_y + p * bin_h + (iy + 0.5) * bin_h / grid_h
                sample_x = start_x + q * bin_w + (ix + 0.5) * bin_w / grid_w
                total = total + _bilinear(features[int(image)], sample_y, sample_x)
            y[r, p, q] = total / max(grid_h * grid_w, 1)
    return y


def _bilinear(feature_map, y, x):
    """Value of an (H, W, C) map between its cells; cell (i, j) sits at the point (i, j)."""
    h, w, c = feature_map.shape
    if y < -1 or y > h or x < -1 or x > w:
        return np.zeros(c)  # more than one cell outside: nothing is there
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)  # at most one cell outside: the border
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    fy, fx = y - top, x - left
    return ((1 - fy) * (1 - fx) * feature_map[top, left] + (1 - fy) * fx * feature_map[top, right]
            + fy * (1 - fx) * feature_map[bottom, left] + fy * fx * feature_map[bottom, right])


def roi_pool(features, rois, output_size, spatial_scale=1.0):
    """Maximum of each bin, everything rounded to cells: (N, H, W, C) and (R, 5) give (R, P, Q, C)."""
    num_bins_y, num_bins_x = pair(output_size)
    _, h, w, c = features.shape
    y = np.zeros((len(rois), num_bins_y, num_bins_x, c), dtype=features.dtype)
    for r, (image, *box) in enumerate(rois.tolist()):
        # The nearest whole cell, halves away from zero; first and last cell both belong to the region.
        x1, y1, x2, y2 = (int(math.copysign(math.floor(abs(v * spatial_scale) + 0.5), v)) for v in box)
        bin_h, bin_w = max(y2 - y1 + 1, 1) / num_bins_y, max(x2 - x1 + 1, 1) / num_bins_x
        for p, q, channel in np.ndindex(num_bins_y, num_bins_x, c):
            rows = range(max(y1 + math.floor(p * bin_h), 0), min(y1 + math.ceil((p + 1) * bin_h), h))
            columns = range(max(x1 + math.floor(q * bin_w), 0), min(x1 + math.ceil((q + 1) * bin_w), w))
            cells = [features[int(image), i, j, channel] for i in rows for j in columns]
            y[r, p, q, channel] = max(cells, default=0.0)
    return y


def softmax_cross_entropy(logits, labels):
    """Mean over rows of ``-log(exp(logit of the right class) / sum of exp(all logits))``."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels, strict=True):
        total += -math.log(math.exp(row[label]) / sum(math.exp(logit) for logit in row))
    return total / max(len(labels), 1)
