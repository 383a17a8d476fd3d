"""Make ``ops_boxes.npz``: what torchvision.ops does to boxes and regions.

Run: ``python tests/reference/make_ops.py`` (needs torch and torchvision). Inputs are drawn by NumPy and
stored beside torchvision's answers, maps in NHWC order; options, seed and versions are in the JSON entry
``meta``.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder

SEED = 11
ROI_ALIGN_RUNS = [
    dict(output_size=size, spatial_scale=scale, sampling_ratio=sampling_ratio, aligned=aligned, dtype=dtype)
    for size, scale, sampling_ratio, dtype in [((3, 2), 0.25, 2, "float32"), ((7, 7), 0.25, 2, "float64"),
                                               ((2, 4), 1 / 3, 1, "float32"), ((3, 5), 0.5, 3, "float64"),
                                               ((4, 3), 0.25, -1, "float32"), ((2, 3), 1.0, -1, "float64")]
    for aligned in (False, True)
]
ROI_POOL_RUNS = [dict(output_size=size, spatial_scale=scale, dtype=dtype)
                 for size, scale, dtype in [((3, 2), 0.25, "float32"), ((2, 5), 1 / 3, "float64")]]
NMS_RUNS = [dict(count=count, num_classes=num_classes, iou_threshold=iou_threshold)
            for count, num_classes, iou_threshold in [(150, 1, 0.5), (400, 4, 0.7), (1000, 90, 0.3),
                                                      (1400, 7, 0.5)]]
CODER_WEIGHTS = [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]


def draw_boxes(rng, count, extent, size):
    center = rng.uniform(-0.1, 1.1, (count, 2)) * extent
    half = 0.5 * size * np.exp(0.6 * rng.standard_normal((count, 2)))
    return np.concatenate([center - half, center + half], axis=1)


def draw_rois(rng):
    """Regions of all kinds: inside, half and wholly outside, thin, inverted, huge, on cell borders."""
    boxes = draw_boxes(rng, 6, (52, 36), 18)
    extra = [[4, 8, 5, 9], [30, 20, 20, 10], [-40, -40, 90, 70], [8, 4, 40, 28], [200, 5, 220, 30],
             [6, 6, 30, 22]]
    boxes = np.concatenate([boxes, extra])
    return np.concatenate([rng.integers(0, 2, (len(boxes), 1)), boxes], axis=1)


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def to_nhwc(tensor):
    return np.ascontiguousarray(tensor.detach().numpy().transpose(0, 2, 3, 1))


def pooled(stored, key, operation, features, rois, rng):
    """Store inputs, output, a random gradient of the output and the resulting gradient of the features."""
    x = to_torch(features.transpose(0, 3, 1, 2)).requires_grad_()
    y = operation(x, to_torch(rois))
    dy = rng.standard_normal(y.shape).astype(features.dtype)
    y.backward(to_torch(dy))
    stored.update({f"{key}/features": features, f"{key}/rois": rois, f"{key}/y": to_nhwc(y),
                   f"{key}/dy": to_nhwc(torch.from_numpy(dy)), f"{key}/dfeatures": to_nhwc(x.grad)})


def main():
    rng = np.random.default_rng(SEED)
    stored = {}
    for i, run in enumerate(ROI_ALIGN_RUNS):
        features = rng.standard_normal((2, 9, 13, 3)).astype(run["dtype"])
        options = {name: value for name, value in run.items() if name != "dtype"}
        pooled(stored, f"roi_align/{i}", lambda x, rois: ops.roi_align(x, rois, **options), features,
               draw_rois(rng).astype(run["dtype"]), rng)
    for i, run in enumerate(ROI_POOL_RUNS):
        features = np.round(2 * rng.standard_normal((2, 9, 13, 3))).astype(run["dtype"])  # rounded: ties
        options = (run["output_size"], run["spatial_scale"])
        pooled(stored, f"roi_pool/{i}", lambda x, rois: ops.roi_pool(x, rois, *options), features,
               draw_rois(rng).astype(run["dtype"]), rng)
    for i, run in enumerate(NMS_RUNS):
        boxes = draw_boxes(rng, run["count"], (300, 200), 60).astype(np.float32)
        # No equal scores: torchvision leaves their order open.
        scores = (rng.permutation(run["count"]) / run["count"]).astype(np.float32)
        idxs = rng.integers(0, run["num_classes"], run["count"])
        arguments = (to_torch(boxes), to_torch(scores))
        stored.update({f"nms/{i}/boxes": boxes, f"nms/{i}/scores": scores, f"nms/{i}/idxs": idxs,
                       f"nms/{i}/keep": ops.nms(*arguments, run["iou_threshold"]).numpy(),
                       f"nms/{i}/keep_batched":
                           ops.batched_nms(*arguments, to_torch(idxs), run["iou_threshold"]).numpy()})
    boxes1 = draw_boxes(rng, 40, (300, 200), 60).astype(np.float32)
    boxes2 = draw_boxes(rng, 40, (300, 200), 60).astype(np.float32)
    deltas = (rng.standard_normal((40, 4)) * 3).astype(np.float32)
    stored.update({"boxes/boxes1": boxes1, "boxes/boxes2": boxes2, "boxes/deltas": deltas,
                   "boxes/iou": ops.box_iou(to_torch(boxes1), to_torch(boxes2)).numpy(),
                   "boxes/area": ops.box_area(to_torch(boxes1)).numpy(),
                   "boxes/clipped": ops.clip_boxes_to_image(to_torch(boxes1), (200, 300)).numpy(),
                   "boxes/not_small": ops.remove_small_boxes(to_torch(boxes1), 50.0).numpy()})
    for i, weights in enumerate(CODER_WEIGHTS):
        coder = BoxCoder(weights)
        stored[f"boxes/encoded/{i}"] = coder.encode_single(to_torch(boxes1), to_torch(boxes2)).numpy()
        stored[f"boxes/decoded/{i}"] = coder.decode_single(to_torch(deltas), to_torch(boxes2)).numpy()

    meta = {"torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__,
            "seed": SEED, "roi_align": ROI_ALIGN_RUNS, "roi_pool": ROI_POOL_RUNS, "nms": NMS_RUNS,
            "coder_weights": CODER_WEIGHTS, "clip_size": (200, 300), "min_size": 50.0}
    np.savez_compressed(Path(__file__).with_name("ops_boxes.npz"), meta=np.array(json.dumps(meta)), **stored)


if __name__ == "__main__":
    main()
