"""From a trace to what a page can draw: words and arrays, all in pixels of the image on the stage.

A trace has the model's own arrays, in the pixels of its input and level by level. A page wants them in the pixels
that it shows, in one array for all levels, and small: maps in false colors, masks in 256 steps. The docstring of `api`
says what each part means.
"""

import numpy as np

from .. import ops
from ..mask_rcnn import check_finite
from ..stages.mask_head import select_masks
from ..stages.roi_pooler import SAMPLING_RATIO
from ..stages.transform import scale_boxes
from ..variants import parts
from ..views import axis_samples, code_and_picture

FIRST_LEVEL = 2         # C2, P2
NEAR = 0.5              # intersection over union from which on a detection counts as near a box


class Look:
    """One pass through a model, with what is needed to ask further.

    Parameters
    ----------
    number : int
        By which later questions name this look.
    model : MaskRCNN
    trace : Trace
        What the model's `trace` has returned.

    Attributes
    ----------
    number : int
    trace : Trace
    maps : dict of str to (h, w, C) ndarray
        "C2" to "C5" of the body, "P2" to "P6" of the pyramid.
    class_names : list of str

    Raises
    ------
    InputError
        If the model's numbers are not finite.
    """

    def __init__(self, number, model, trace):
        check_finite({"deltas": trace.deltas, "box deltas": [trace.box_deltas]})    # the rest was looked at before
        self.number, self.heads, self.trace = number, model.roi_heads, trace
        self.weights, self.class_names = model.config.bbox_reg_weights, names_of(model)
        self.image_size = trace.image.shape[:2]
        self.ratios = tuple(ours / its for ours, its in zip(self.image_size, trace.image_size))     # of y and of x
        self.maps = {f"{letter}{FIRST_LEVEL + i}": level[0] for letter, levels
                     in (("C", trace.body_features), ("P", trace.features)) for i, level in enumerate(levels)}
        self.codes, self.pictures = {}, {}
        for name, feature in self.maps.items():
            self.codes[name], picture = code_and_picture(feature)
            self.pictures[name] = as_bytes(picture)

    def on_image(self, boxes):
        """Boxes of the input in pixels of the image, float32."""
        return scale_boxes(boxes, self.trace.image_size, self.image_size).astype(np.float32, copy=False)

    def answer(self):
        """Return what can be said in words."""
        trace, (height, width) = self.trace, self.image_size
        padded = [side * ratio for side, ratio in zip(trace.batch.shape[1:3], self.ratios)]
        body = [self._level(name, padded) for name in self.maps if name.startswith("C")]
        levels, first = [], 0
        for name, anchors in zip([name for name in self.maps if name.startswith("P")], trace.anchors):
            levels.append({**self._level(name, padded), "first": first})
            first += len(anchors)
        return {"look": self.number, "class_names": self.class_names, "width": width, "height": height,
                "span": {"height": padded[0], "width": padded[1]}, "body_levels": body, "levels": levels,
                "anchors_per_cell": trace.objectness[0].shape[2],
                "counts": {"anchors": first, "top_k": len(trace.top_k), "proposals": len(trace.proposals),
                           "candidates": len(trace.candidate_rois), "detections": len(trace.detections)},
                "detections": [self._detection(row) for row in range(len(trace.detections))]}

    def _level(self, name, padded):
        height, width, channels = self.maps[name].shape
        return {"name": name, "height": height, "width": width, "channels": channels,
                "stride": [padded[0] / height, padded[1] / width]}

    def _detection(self, row):
        found, history = self.trace.detections, self.trace.provenance(row)
        for name in ("anchor_box", "proposal_box"):
            history[name] = rounded(self.on_image(history[name]))
        return {"box": rounded(found.boxes[row]), "label": int(found.labels[row]),
                "score": round(float(found.scores[row]), 4), "history": history}

    def arrays(self):
        """Return all arrays by name."""
        trace = self.trace
        anchors, size = np.concatenate(trace.anchors), trace.image_size
        moved = ops.decode_boxes(np.concatenate([level.reshape(-1, 4) for level in trace.deltas]), anchors)
        logits = np.concatenate([level.reshape(-1) for level in trace.objectness])
        arrays = dict(
            self.pictures, anchors=self.on_image(anchors), objectness=as_float(ops.sigmoid(logits)),
            moved=self.on_image(ops.clip_boxes_to_image(moved, size)), top_k=as_rows(trace.top_k),
            kept=as_rows(trace.proposal_rows), proposals=self.on_image(trace.proposals),
            class_scores=as_float(ops.softmax(trace.class_logits)), candidate_rois=as_rows(trace.candidate_rois),
            candidate_labels=as_rows(trace.candidate_labels), candidate_scores=as_float(trace.candidate_scores),
            candidate_boxes=self.on_image(trace.candidate_boxes), detection_rows=as_rows(trace.detection_rows))
        if trace.detections.masks is not None:
            arrays["masks"] = as_bytes(trace.detections.masks)
        return arrays

    def region(self, proposal):
        """Return what the box head has read of a proposal, and what it said.

        Parameters
        ----------
        proposal : int
            Row of the trace's proposals.

        Returns
        -------
        answer : dict
            ``proposal``, ``box``, ``level``, ``reads`` and ``class_names``; see "roi" in `api`.
        arrays : dict of str to ndarray
            ``points_pixels`` (n, 2), ``patch`` (7, 7, 3), ``class_scores`` (K,) and ``class_boxes`` (K, 4).

        Raises
        ------
        IndexError
            If there is no such proposal.
        """
        trace = self.trace
        box, level = trace.proposals[proposal], int(trace.roi_levels[proposal])
        reads, points = points_read(self.heads.box_pooler, trace.features[level], level, box)
        stride = self.heads.box_pooler.strides[level]
        deltas = trace.box_deltas[proposal]
        boxes = ops.decode_boxes(deltas, np.repeat(box[None], len(deltas), axis=0), self.weights)
        code = self.codes[f"P{FIRST_LEVEL + level}"]
        return ({"proposal": proposal, "box": rounded(self.on_image(box)), "level": level, "reads": reads,
                 "class_names": self.class_names},
                {"points_pixels": as_float(points * stride * self.ratios[::-1]),
                 "patch": as_bytes(code.colors(trace.box_features[proposal])),
                 "class_scores": as_float(ops.softmax(trace.class_logits[proposal][None])[0]),
                 "class_boxes": self.on_image(ops.clip_boxes_to_image(boxes, trace.image_size))})

    def wished_region(self, wish):
        """Return the region that was asked for before anybody could know what would be found.

        Parameters
        ----------
        wish : dict
            ``{"proposal": row}``, ``{"detection": row}`` or ``{"near": box}``, the box as (x1, y1, x2, y2) in pixels of
            the image; ``{}`` is the best detection.

        Returns
        -------
        answer, arrays : dict
            As of `region` or `region_of_detection`. Instead of a proposal that does not exist comes the last one;
            instead of a detection, the best one; if nothing is found, the best proposal. Without proposals both are
            empty.
        """
        boxes, number = self.trace.detections.boxes, len(self.trace.proposals)
        if not number:
            return {}, {}
        if "proposal" in wish:
            return self.region(min(wish["proposal"], number - 1))
        if not len(boxes):
            return self.region(0)
        row = wish.get("detection", 0)
        if "near" in wish:      # detections go from the best on: this is the best one there, whichever overlaps most
            row = int(np.argmax(ops.box_iou(boxes, np.asarray([wish["near"]], boxes.dtype))[:, 0] >= NEAR))
        return self.region_of_detection(row if row < len(boxes) else 0)

    def region_of_detection(self, row):
        """Return what both heads have read of a detection, and what they said.

        Parameters
        ----------
        row : int
            Of the trace's detections.

        Returns
        -------
        answer : dict
            As of `region` for the proposal that became the detection; also ``detection``, ``label`` and, if the
            model has masks, ``mask_level``.
        arrays : dict of str to ndarray
            As of `region`, and ``masks`` (K, 28, 28), probabilities for every class.

        Raises
        ------
        InputError
            If there is no such detection.
        """
        trace = self.trace
        answer, arrays = self.region(trace.provenance(row)["roi"])
        answer.update(detection=row, label=int(trace.detections.labels[row]))
        if trace.mask_logits is not None:
            answer["mask_level"] = int(trace.mask_levels[row])
            of_each = np.repeat(trace.mask_logits[row][None], trace.mask_logits.shape[3], axis=0)
            arrays["masks"] = as_float(select_masks(of_each, np.arange(len(of_each))))
        return answer, arrays


def points_read(pooler, feature, level, box):
    """Return how a pooler reads a box of the input, "points" or "cells", and where, (n, 2) x and y in cells."""
    stride, size = pooler.strides[level], pooler.output_size
    if isinstance(pooler, parts.MaxPooler):
        roi = np.concatenate([[0], box]).astype(feature.dtype)[None]
        won = ops.roi_pool_forward(feature, roi, size, 1 / stride)[1].argmax
        rows, columns = np.divmod(np.unique(won[won >= 0]), feature.shape[2])
        return "cells", np.stack([columns, rows], axis=1)
    scale = 1 / stride
    if isinstance(pooler, parts.RoundingPooler):
        box, scale = np.floor(box * scale + 0.5), 1
    aligned = isinstance(pooler, parts.HalfPixelPooler)
    (_, x), (_, y) = (axis_samples(box[axis], box[axis + 2], scale, size, SAMPLING_RATIO, aligned) for axis in (0, 1))
    return "points", np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def names_of(model):
    """The names of a model's classes, also of one that has none."""
    return model.class_names or ["background", *(f"class {label}" for label in range(1, model.num_classes))]


# ---- small numbers for the way ----


def rounded(box):
    """Four numbers of a box, to a thousandth of a pixel."""
    return [round(value, 3) for value in box.tolist()]


def as_bytes(fractions):
    """Numbers of 0 to 1 in 256 steps."""
    return np.rint(fractions * 255).astype(np.uint8)


def as_float(numbers):
    """Any numbers as float32."""
    return np.asarray(numbers, np.float32)


def as_rows(rows):
    """Numbers of rows as int32."""
    return np.asarray(rows, np.int32)
