"""A trace that looks like a trained model's, made without a model: the truth, plus errors that are drawn."""

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.datasets.shapes import ShapesDataset
from npmaskrcnn.stages.anchors import cell_anchors, grid_anchors
from npmaskrcnn.stages.box_head import select_detections
from npmaskrcnn.stages.matching import match, sample
from npmaskrcnn.stages.roi_pooler import RoIPooler, make_rois
from npmaskrcnn.stages.rpn import propose
from npmaskrcnn.structures import Detections
from npmaskrcnn.trace import Trace, TrainingTrace

CLASS_NAMES = ["background", "circle", "square", "triangle"]
STRIDES = (4, 8, 16, 32, 64)
ANCHOR_SIZES = (12, 24, 48, 96, 128)
BOX_WEIGHTS = (10, 10, 5, 5)


def make_trace(image, target, rng, num_classes=4, rpn_score=0.0, box_score=0.05, training=True):
    """A Trace of `image` (H, W, 3) uint8 as a model that errs a little leaves it; sides multiples of 64."""
    picture = image.astype(np.float32) / 255
    size = picture.shape[:2]
    grids = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    body, features = feature_maps(picture, rng)
    anchors = [grid_anchors(cell_anchors([anchor_size], [0.5, 1, 2]), grid, (stride, stride))
               for anchor_size, grid, stride in zip(ANCHOR_SIZES, grids, STRIDES)]
    objectness, deltas = rpn_answers(target, anchors, rng)
    found = propose(objectness, deltas, anchors, size, 200, 100, 0.7, rpn_score)
    class_logits, box_deltas = box_head_answers(target, found.boxes, num_classes, rng)
    kept = select_detections(class_logits.astype(np.float32), box_deltas.astype(np.float32), found.boxes, size,
                             BOX_WEIGHTS, box_score, 0.5, 100)
    boxes, labels = kept.boxes[kept.keep], kept.labels[kept.keep]
    mask_logits, masks = mask_head_answers(target, boxes, labels, size, num_classes, rng)
    box_pooler, rois = RoIPooler(7, canonical_scale=56), make_rois([found.boxes])
    mask_pooler, mask_rois = RoIPooler(14, canonical_scale=56), make_rois([boxes])
    return Trace(
        image=picture, batch=((picture - 0.5) / 0.25)[None], image_size=size, body_features=body, features=features,
        anchors=anchors, objectness=[logits.reshape(*grid, 3) for logits, grid in zip(objectness, grids)],
        deltas=[level.reshape(*grid, 3, 4) for level, grid in zip(deltas, grids)],
        top_k=found.top_k, top_k_boxes=found.top_k_boxes, top_k_scores=found.top_k_scores,
        top_k_levels=found.top_k_levels, proposal_rows=found.rows, proposals=found.boxes, proposal_scores=found.scores,
        roi_levels=box_pooler.levels(rois), box_features=box_pooler(features[:4], rois),
        class_logits=class_logits, box_deltas=box_deltas, candidate_rois=kept.rois, candidate_labels=kept.labels,
        candidate_scores=kept.scores, candidate_boxes=kept.boxes, detection_rows=kept.keep, detection_boxes=boxes,
        mask_levels=mask_pooler.levels(mask_rois), mask_features=mask_pooler(features[:4], mask_rois),
        mask_logits=mask_logits, detections=Detections(boxes, labels, kept.scores[kept.keep], masks),
        strides=[(float(stride), float(stride)) for stride in STRIDES],
        class_names=(CLASS_NAMES + ["star"] * 90)[:num_classes],
        training=make_training(target, np.concatenate(anchors), found.boxes, rng) if training else None)


def rpn_answers(target, anchors, rng):
    """Objectness and deltas of each level: high, and toward its object, where an anchor lies on one."""
    flat = np.concatenate(anchors)
    matches, best = nearest(target.boxes, flat)
    objectness = 16 * (best - 0.55) + rng.normal(0, 1, len(flat))
    deltas = rng.normal(0, 0.12, (len(flat), 4))
    if len(target.boxes):
        near = best > 0.2
        deltas[near] += ops.encode_boxes(target.boxes[matches[near]], flat[near])
    ends = np.cumsum([len(level) for level in anchors])[:-1]
    return np.split(objectness.astype(np.float32), ends), np.split(deltas.astype(np.float32), ends)


def box_head_answers(target, proposals, num_classes, rng):
    """Logits (R, K) and deltas (R, K, 4): the class of the nearest object, or background far from all."""
    matches, best = nearest(target.boxes, proposals)
    logits = rng.normal(0, 0.7, (len(proposals), num_classes))
    logits[:, 0] += 14 * (0.5 - best)
    deltas = rng.normal(0, 0.15, (len(proposals), num_classes, 4))
    if len(target.boxes) and len(proposals):
        logits[np.arange(len(best)), target.labels[matches] % num_classes] += 14 * (best - 0.35)
        deltas += ops.encode_boxes(target.boxes[matches], proposals, BOX_WEIGHTS)[:, None]
    return logits, deltas


def mask_head_answers(target, boxes, labels, size, num_classes, rng):
    """Logits (D, 28, 28, K) and pasted masks (D, H, W): the mask of the nearest object, cut out and cut off."""
    matches, _ = nearest(target.boxes, boxes)
    logits = rng.normal(-2, 1, (len(boxes), 28, 28, num_classes)).astype(np.float32)
    masks = np.zeros((len(boxes), *size), np.float32)
    for i, label in enumerate(labels):
        truth = target.masks[matches[i]].astype(np.float32)
        crop = ops.roi_align(truth[None, ..., None], make_rois([boxes[i:i + 1]]), 28, aligned=True)[0, :, :, 0]
        logits[i, :, :, label] = 9 * (crop - 0.5) + rng.normal(0, 0.6, (28, 28))
        x1, y1, x2, y2 = boxes[i].round().astype(int)
        masks[i, y1:y2, x1:x2] = 0.95 * truth[y1:y2, x1:x2]
    return logits, masks


def feature_maps(picture, rng):
    """C2..C5 and P2..P6 that show the picture: its local means, mixed into 16 channels."""
    body, features = [], []
    for stride in STRIDES:
        height, width = picture.shape[0] // stride, picture.shape[1] // stride
        means = picture.reshape(height, stride, width, stride, 3).mean((1, 3))
        tops = picture.reshape(height, stride, width, stride, 3).max((1, 3)) - means
        mix = rng.normal(0, 1, (6, 16))
        maps = np.concatenate([means, tops], axis=-1) @ mix + rng.normal(0, 0.1, (height, width, 16))
        features.append(maps.astype(np.float32)[None])
        body.append(np.maximum(maps, 0).astype(np.float32)[None])
    return body[:4], features


def nearest(boxes, others):
    """For each of `others` its best box and the IoU with it; 0 and 0 where there is no box."""
    if not len(boxes) or not len(others):
        return np.zeros(len(others), int), np.zeros(len(others))
    iou = ops.box_iou(boxes, others)
    return iou.argmax(axis=0), iou.max(axis=0)


def freeze(trace):
    """The same trace with all its arrays read-only: who writes into one gets an error."""
    for values in vars(trace).values():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return trace


def make_training(target, anchors, proposals, rng):
    """The training path, with losses that are drawn."""
    anchor_iou = ops.box_iou(target.boxes, anchors)
    matches = match(anchor_iou, 0.7, 0.3, True)
    positive, negative = sample(matches >= 0, matches == -1, 128, 0.5, rng)
    candidates = np.concatenate([proposals, target.boxes])
    candidate_iou = ops.box_iou(target.boxes, candidates)
    candidate_matches = match(candidate_iou, 0.5, 0.5)
    sampled = np.arange(0, len(candidates), 2)
    labels = np.r_[target.labels, 0][candidate_matches[sampled]]
    is_positive = labels > 0
    rois, count, num_positive = candidates[sampled], len(sampled), int(is_positive.sum())
    return TrainingTrace(
        gt_boxes=target.boxes, gt_labels=target.labels, anchor_iou=anchor_iou, anchor_matches=matches,
        sampled_anchors=np.r_[positive, negative], num_positive_anchors=len(positive),
        anchor_delta_targets=rng.normal(0, 1, (len(positive), 4)),
        anchor_objectness_loss=rng.random(len(positive) + len(negative)),
        anchor_box_loss=rng.random(len(positive)),
        candidates=candidates, candidate_iou=candidate_iou, candidate_matches=candidate_matches,
        sampled_rois=sampled, rois=rois, roi_labels=labels, roi_levels=np.zeros(count, int),
        roi_delta_targets=rng.normal(0, 1, (count, 4)), roi_class_loss=rng.random(count),
        roi_box_loss=rng.random(count), mask_rois=rois[is_positive], mask_labels=labels[is_positive],
        mask_targets=rng.random((num_positive, 28, 28)),
        mask_logits=rng.normal(0, 1, (num_positive, 28, 28, 4)),
        mask_loss=rng.random(num_positive), losses={})


@pytest.fixture(scope="session")
def scene():
    """An image of 128 x 192 pixels and its Target."""
    return ShapesDataset(4, image_size=(128, 192), seed=3, min_objects=3)[1]


@pytest.fixture(scope="session")
def trace(scene):
    return freeze(make_trace(*scene, np.random.default_rng(0)))


@pytest.fixture(scope="session")
def trace_of_boxes(scene):
    """A trace of a model without a mask branch."""
    found = make_trace(*scene, np.random.default_rng(0))
    found.mask_levels = found.mask_features = found.mask_logits = found.detections.masks = None
    return freeze(found)


@pytest.fixture(scope="session")
def traces_of_nothing(scene):
    """Traces in which something is missing: objects, detections, proposals, or all classes but one."""
    image, target = scene
    empty = ShapesDataset(1, image_size=(128, 192), min_objects=0, max_objects=0)[0]
    rng = np.random.default_rng(1)
    return {"no object": make_trace(*empty, rng),
            "no detection": make_trace(image, target, rng, box_score=1.1, training=False),
            "no proposal": make_trace(image, target, rng, rpn_score=1.1),
            "one class": make_trace(image, target, rng, num_classes=2)}
