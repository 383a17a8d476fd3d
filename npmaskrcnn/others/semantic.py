"""A semantic network: what is every pixel? And no question about objects.

Mask R-CNN first finds objects and then outlines each. This network leaves the objects out: on the pyramid stands a
small head that says of each pixel which class it belongs to, or that it is background, through one softmax in which
the classes compete. There are no anchors, no proposals, no matching and no sampling; the target is one map of labels,
and the loss one mean over all pixels. Objects come in at the very end, by counting: pixels of one class that hang
together are taken for one object.

That is all that is needed where objects of one class keep apart, or where nobody asks for objects (road, sky, tissue);
and the outline is as fine as the map. Where two objects of a class touch they become one, and an object that another
one cuts in two becomes two, because the question was never asked: on the toy shapes a fifth of the objects were merged
with another (notebooks/results/others.md). A network can learn to leave a seam between those that touch, if the loss
weighs the seams (U-Net, section 3); this one does not.

Sources: Long et al. 2015 (fully convolutional networks); Ronneberger et al. 2015 (U-Net); the head on a pyramid is that
of Kirillov et al. 2019 (Panoptic FPN, 3.1), simplified: each level is enlarged in one go, and summed, before the
convolutions. Legend: N images, K classes with background, (h, w) the size of P2, (H', W') = (4 h, 4 w) of the images.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops
from ..mask_rcnn import check_finite
from ..network import silent
from ..nn import FORGET
from ..structures import Detections, MaskSequence
from .detector import Detector

STRIDE = 4          # of P2
NOWHERE = -1        # label of a pixel that is not in the image: padding, of which nothing is learned
MIN_PIXELS = 16     # of an object: one cell of P2; what is smaller is a seam between two classes


class SemanticHead(nn.Module):
    """Levels summed at P2's size, 3x3 convolutions with norm and ReLU, 1x1 to K classes, enlarged to the image.

    Parameters
    ----------
    channels, num_classes : int
    depth : int
        3x3 convolutions.
    norm : callable
    rng : np.random.Generator or None
    """

    def __init__(self, channels, num_classes, depth=2, norm=nn.BatchNorm2d, rng=None):
        self.conv = nn.Sequential(*[
            nn.ConvNormReLU(nn.Conv2d(channels, channels, 3, padding=1, bias=False, rng=rng), norm(channels))
            for _ in range(depth)])
        # Unit gain, not the tiny numbers that a last layer often begins with: the gradient of all that lies before is
        # multiplied by these weights.
        self.cls_logits = nn.Conv2d(channels, num_classes, 1, init=nn.init.kaiming_uniform, rng=rng)

    def forward(self, features, notes):
        """Return the logits (N, H', W', K) of [P2, P3, ...]; notes of the enlargements by level."""
        height, width = features[0].shape[1:3]
        merged = features[0].copy()
        for i, level in enumerate(features[1:], start=1):
            enlarged, notes[i] = ops.resize_bilinear_forward(level, (height, width))
            merged += enlarged
        hidden = self.conv.forward(merged, notes.of("conv"))
        coarse = self.cls_logits.forward(hidden, notes.of("cls_logits"))
        logits, notes["enlarge"] = ops.resize_bilinear_forward(coarse, (STRIDE * height, STRIDE * width))
        return logits

    def backward(self, dlogits, notes):
        """Return [dP2, dP3, ...]: a sum passes its gradient to each of its terms as it is."""
        dcoarse = ops.resize_bilinear_backward(dlogits, notes["enlarge"])
        dhidden = self.cls_logits.backward(dcoarse, notes["cls_logits"])
        dmerged = self.conv.backward(dhidden, notes["conv"])
        levels = [i for i in notes if isinstance(i, int)]
        return [dmerged, *(ops.resize_bilinear_backward(dmerged, notes[i]) for i in levels)]


def label_map(target, image_size, padded_size):
    """Draw the objects of an `InputTarget` into one (H', W') map of labels: the whole target of this network.

    0 is background, `NOWHERE` what lies beyond the image. Where masks overlap, the later one is in front.
    """
    labels = np.full(padded_size, NOWHERE)
    image = labels[:image_size[0], :image_size[1]]
    image[...] = 0
    for mask, label in zip(target.masks, target.labels):
        image[mask] = label
    return labels


class PixelLossCache(NamedTuple):
    inside: np.ndarray      # (N, H', W') bool: pixels of an image
    of_operation: tuple     # cache of the cross-entropy


def pixel_loss_forward(logits, labels):
    """Compute the mean softmax cross-entropy over all pixels that are in an image.

    Parameters
    ----------
    logits : (N, H', W', K) ndarray
    labels : (N, H', W') int ndarray
        Those of `label_map`.

    Returns
    -------
    loss_classifier : float
    cache : PixelLossCache
    """
    inside = labels != NOWHERE
    loss, cache = ops.softmax_cross_entropy_forward(logits[inside], labels[inside])
    return loss, PixelLossCache(inside, cache)


def pixel_loss_backward(dloss, cache):
    """Return dlogits: zero where there is no image."""
    of_pixels = ops.softmax_cross_entropy_backward(dloss, cache.of_operation)
    dlogits = np.zeros((*cache.inside.shape, of_pixels.shape[1]), of_pixels.dtype)
    dlogits[cache.inside] = of_pixels
    return dlogits


class Instances(NamedTuple):
    """Objects of one image, best first, and the map in which each has its number."""

    labels: np.ndarray      # (D,)
    scores: np.ndarray      # (D,) mean probability of the class over the object's pixels
    boxes: np.ndarray       # (D, 4) extents
    numbers: np.ndarray     # (D,) of the object in `components`
    components: np.ndarray  # (H, W) int32, 0 is background


def find_instances(probabilities, score_threshold=0.0, most=None, min_pixels=MIN_PIXELS):
    """Take what hangs together for an object: connected components of each class.

    Two pixels hang together that share an edge and are most probably of the same class.

    Parameters
    ----------
    probabilities : (H, W, K) ndarray
    score_threshold : float
        Objects need a higher score than this.
    most : int, optional
        Objects at most.
    min_pixels : int
        Smaller ones are left out.

    Returns
    -------
    Instances
    """
    from scipy import ndimage   # only here, so that the other networks are built where SciPy is missing
    best = probabilities.argmax(axis=2)
    components, found, total = np.zeros(best.shape, np.int32), [], 0
    for label in range(1, probabilities.shape[2]):
        own, count = ndimage.label(best == label)
        for i, (rows, columns) in enumerate(ndimage.find_objects(own), start=1):
            inside = own[rows, columns] == i
            score = probabilities[rows, columns, label][inside].mean()
            if inside.sum() >= min_pixels and score > score_threshold:
                found.append((label, score, (columns.start, rows.start, columns.stop, rows.stop), total + i))
        components[own > 0] = own[own > 0] + total
        total += count
    found = sorted(found, key=lambda one: -one[1])[:most]       # ties stay in the order of classes and rows
    labels, scores, boxes, numbers = zip(*found) if found else ([], [], [], [])
    return Instances(np.array(labels, np.int64), np.array(scores, probabilities.dtype),
                     np.array(boxes, np.float32).reshape(-1, 4), np.array(numbers, np.int64), components)


class SemanticNetwork(Detector):
    """Backbone and semantic head. Build it with `semantic_tiny`.

    Parameters
    ----------
    backbone : Backbone
        The head sees all levels of its pyramid but the last, which repeats the one before.
    head : SemanticHead
    config, num_classes
        See `Detector`.
    """

    loss_names = ["loss_classifier"]

    def __init__(self, backbone, head, config, num_classes):
        self.backbone, self.head = backbone, head
        super().__init__(config, num_classes)

    def forward_trunk(self, images, notes, tell=silent):
        """Return the logits of all pixels, (N, H', W', K)."""
        _, features = self.backbone.forward(images, notes.of("backbone"), tell)
        tell("semantic head")
        notes["last"] = features[-1]
        return self.head.forward(features[:-1], notes.of("head"))

    def make_plan(self, logits, image_sizes, targets, _rng):
        """Return the labels of all pixels, (N, H', W'): nothing is matched, nothing is drawn."""
        return np.stack([label_map(target, size, logits.shape[1:3]) for target, size in zip(targets, image_sizes)])

    def losses_for(self, logits, labels, notes):
        """Return the one loss, by name."""
        loss, notes["loss"] = pixel_loss_forward(logits, labels)
        return {"loss_classifier": loss}

    def backward(self, dlosses, notes, need_dimages=False):
        """Return the gradient by the images if wanted: `losses_for`, then `forward_trunk`, read upward."""
        dlogits = pixel_loss_backward(dlosses["loss_classifier"], notes.pop("loss"))
        dfeatures = self.head.backward(dlogits, notes.pop("head"))
        dfeatures.append(np.zeros_like(notes.pop("last")))      # which nobody has read
        return self.backbone.backward(dfeatures, notes.pop("backbone"), need_dimages)

    def infer(self, batch, score_threshold=None, _iou_threshold=None, tell=silent):
        """Return for each image its logits (h, w, K) and the score threshold. (Nothing overlaps: no NMS.)"""
        logits = self.forward_trunk(batch.images, FORGET, tell)
        check_finite({"class logits": [logits]})
        score_threshold = self.config.box_score_thresh if score_threshold is None else score_threshold
        return [(one[:height, :width], score_threshold) for one, (height, width) in zip(logits, batch.image_sizes)]

    def detections(self, answer, original_size, paste_all=True):
        """Return the `Detections` of an image: its masks are 0 or 1, and no two of them overlap."""
        logits, score_threshold = answer
        if logits.shape[:2] != tuple(original_size):
            logits = ops.resize_bilinear(logits, original_size)
        probabilities = ops.softmax(logits.reshape(-1, self.num_classes)).reshape(logits.shape)
        found = find_instances(probabilities, score_threshold, self.config.box_detections_per_img)
        masks = MaskSequence(lambda number: (found.components == number).astype(logits.dtype), found.numbers,
                             original_size, logits.dtype)
        return Detections(found.boxes, found.labels, found.scores, np.asarray(masks) if paste_all else masks,
                          self.class_names)
