"""Where the time of a step goes: a stopwatch wrapped around the stages of a model, ours or torchvision's.

Stages call each other (proposals call non-maximum suppression), so each entry counts only the time in which
no inner entry was running; the entries add up to what was measured, and what is left is glue.
"""

import functools
import time
from collections import defaultdict


class StageClock:
    """Seconds per stage and direction, exclusive of inner stages.

    Attributes
    ----------
    seconds : dict of (stage, direction) to float
    calls : dict of (stage, direction) to int
    """

    def __init__(self, clock=time.perf_counter):
        self.clock, self.seconds, self.calls, self._inner = clock, defaultdict(float), defaultdict(int), []

    def reset(self):
        """Forget what was measured."""
        self.seconds.clear()
        self.calls.clear()

    def timed(self, stage, direction, function):
        """Return `function` with its time noted under (stage, direction)."""
        @functools.wraps(function)
        def run(*args, **kwargs):
            self._inner.append(0.0)
            start = self.clock()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = self.clock() - start
                self.seconds[stage, direction] += elapsed - self._inner.pop()
                self.calls[stage, direction] += 1
                if self._inner:
                    self._inner[-1] += elapsed
        return run

    def watch_function(self, namespace, name, stage, direction="forward"):
        """Time a function where it is called from: ``namespace.name``."""
        if not hasattr(namespace, name):        # else its time would pass for glue, unnoticed
            owner = getattr(namespace, "__name__", type(namespace).__name__)
            raise SystemExit(f"stage {stage!r}: {owner}.{name} is gone; put the stopwatch elsewhere")
        setattr(namespace, name, self.timed(stage, direction, getattr(namespace, name)))

    def watch_module(self, module, stage):
        """Time one object's two verbs, and no other object's of its class."""
        own = type(module)
        # A module's __call__ is its forward; what is no module, such as the anchors' generator, may have nothing else.
        verbs = {verb: self.timed(stage, "backward" if verb == "backward" else "forward", getattr(own, verb))
                 for verb in ("forward", "backward") if hasattr(own, verb)}
        if "forward" not in verbs:
            verbs["__call__"] = self.timed(stage, "forward", own.__call__)
        module.__class__ = type(own.__name__, (own,), verbs)


def watch_ours(clock, model, optimizer=None):
    """Put the stopwatch around every stage of one of our models."""
    from npmaskrcnn import mask_rcnn, network, ops
    from npmaskrcnn.stages import matching, roi_heads, rpn

    heads = model.roi_heads
    for module, stage in [
            (model.backbone.body, "body"), (model.backbone.fpn, "fpn"), (model.rpn.head, "rpn head"),
            (heads.box_pooler, "box pooler"), (heads.box_head, "box head"), (heads.box_predictor, "box head"),
            (heads.mask_pooler, "mask pooler"), (heads.mask_head, "mask head"),
            (heads.mask_predictor, "mask head"), (model.transform, "transform"),
            (model.rpn.anchor_generator, "anchors")]:
        clock.watch_module(module, stage)
    for owner, name, stage in [
            (mask_rcnn, "judge_images", "input checks"), (model, "_judge_targets", "input checks"),
            (mask_rcnn, "check_finite", "input checks"), (mask_rcnn, "resize_target", "transform"),
            (model.rpn, "propose", "proposals"), (model.rpn, "choose", "rpn targets"),
            (heads, "choose", "roi targets"), (network, "make_rois", "roi targets"),
            (heads, "detect", "detections"), (mask_rcnn, "select_masks", "paste"),
            (mask_rcnn, "scale_boxes", "paste"), (mask_rcnn, "paste_masks", "paste"),
            (roi_heads, "mask_targets", "mask targets"), (matching, "match", "matching"),
            (rpn, "sample", "sampling"), (roi_heads, "sample", "sampling"),
            (ops, "box_iou", "iou (matching)"),         # not that of nms: the fast forms do not pass the door
            (ops, "batched_nms_best", "nms")]:
        clock.watch_function(owner, name, stage)
    for owner, name in [(rpn, "rpn_losses"), (roi_heads, "box_losses"), (roi_heads, "mask_loss")]:
        for direction in ("forward", "backward"):
            clock.watch_function(owner, f"{name}_{direction}", "losses", direction)
    if optimizer is not None:
        optimizer.step = clock.timed("optimizer", "forward", optimizer.step)


def watch_torchvision(clock, twin, optimizer=None):
    """Put the stopwatch around torchvision's stages; autograd runs backward in one piece."""
    from torchvision.models.detection import roi_heads as functions

    heads = twin.roi_heads
    watched = [(twin.backbone.body, "body"), (twin.backbone.fpn, "fpn"), (twin.rpn.head, "rpn head"),
               (twin.rpn.anchor_generator, "anchors"), (heads.box_roi_pool, "box pooler"),
               (heads.box_head, "box head"), (heads.box_predictor, "box head"),
               (heads.mask_roi_pool, "mask pooler"), (heads.mask_head, "mask head"),
               (heads.mask_predictor, "mask head"), (twin.transform, "transform")]
    for module, stage in watched:
        module.forward = clock.timed(stage, "forward", module.forward)
    for owner, name, stage in [
            (twin.rpn, "filter_proposals", "proposals"),
            (twin.rpn, "assign_targets_to_anchors", "rpn targets"),
            (twin.rpn, "compute_loss", "losses"), (heads, "select_training_samples", "roi targets"),
            (heads, "postprocess_detections", "detections"), (functions, "maskrcnn_loss", "losses"),
            (functions, "fastrcnn_loss", "losses"), (functions, "project_masks_on_boxes", "mask targets"),
            (twin.transform, "postprocess", "paste")]:
        clock.watch_function(owner, name, stage)
    if optimizer is not None:
        optimizer.step = clock.timed("optimizer", "forward", optimizer.step)
