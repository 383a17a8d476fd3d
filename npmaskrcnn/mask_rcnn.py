"""The model's public door: judge what comes in, run the network, bring what comes out back to the caller.

People have images of any size and ground truth in the pixels of those images; the network sees a batch of
normalized, resized, padded ones. Here is the way in and the way back: `MaskRCNN.predict` finds objects,
`MaskRCNN.loss_and_grads` is the first half of a training step (the optimizer is the other), and `MaskRCNN.trace`
keeps every array on the way, for those who want to look. What is computed in between is in `network`.
"""

import numpy as np

from . import ops
from .config import Config
from .errors import InputError, warn
from .judge import checked_image, judge_flag, judge_fraction, judge_known, judge_number, judge_rng, refusal
from .network import LOSS_NAMES, Network, silent
from .nn import Notes
from .stages.box_head import box_loss_shares
from .stages.mask_head import mask_loss_shares, select_masks
from .stages.paste import paste_masks, paste_when_asked
from .stages.roi_pooler import make_rois
from .stages.rpn import rpn_loss_shares
from .stages.transform import resize_target, scale_boxes
from .structures import Detections, MaskSequence, Target
from .trace import TrainingTrace


class MaskRCNN(Network):
    """The model. Build it with `maskrcnn_tiny`, `maskrcnn_resnet50_fpn`, ... rather than by hand.

    Without a mask branch (`fasterrcnn_tiny`, ...) it is a Faster R-CNN: four losses, and no masks in its `Detections`.

    Parameters
    ----------
    backbone, rpn, roi_heads : Module
        See `Network`.
    transform : Transform
    num_classes : int
        With background.

    Attributes
    ----------
    class_names : list of str or None
        One for each class, background first.
    architecture : dict or None
        How to build this model again; filled in by the builder.
    untrained : bool
        Whether its weights, or those of its last layers, are random.
    """

    def __init__(self, backbone, rpn, roi_heads, transform, num_classes):
        super().__init__(backbone, rpn, roi_heads)
        self.transform, self.num_classes = transform, num_classes
        self.class_names, self.architecture, self.untrained = None, None, True

    @property
    def config(self):
        """The options that RPN and heads go by; may be set to other ones. (Sizes and anchors are the builder's.)"""
        return self.rpn.config

    @config.setter
    def config(self, config):
        if not isinstance(config, Config):
            raise refusal("config", "a Config, such as dataclasses.replace(model.config, ...)", config)
        self.rpn.config = self.roi_heads.config = config

    def __repr__(self):
        names = self.class_names or []
        listed = f" ({', '.join(names[:4])}{', ...' * (len(names) > 4)})" if names else ""
        builder = self.architecture["builder"] if self.architecture else "built by hand"
        return (f"MaskRCNN({builder}, {self.num_classes} classes{listed}, {self.num_parameters():,} trainable "
                f"parameters, min_size {self.config.min_size}, max_size {self.config.max_size})")

    # ---- inference --------------------------------------------------------------------------------

    def predict(self, images, score_threshold=None, iou_threshold=None, progress=None, paste_all=True):
        """Find the objects in one image or several.

        Parameters
        ----------
        images : (H, W, 3) ndarray or list of them, or (N, H, W, 3) ndarray
            uint8, or float in 0..1. Several go through as one batch, padded to a common size.
        score_threshold : float, optional
            Detections need a higher score than this (default ``config.box_score_thresh``).
        iou_threshold : float, optional
            Of two detections of one class that overlap more than this, the better stays
            (default ``config.box_nms_thresh``).
        progress : callable, optional
            Called with the name of each stage as it begins: a full-size model takes seconds.
        paste_all : bool
            False pastes a mask when it is asked for: ``masks`` is then a `MaskSequence`, of which ``masks[i]`` is an
            (H, W) array. A hundred masks of a photograph of 12 megapixels take 4.8 GB at once.

        Returns
        -------
        detections : Detections or list of Detections
            In the given images' own coordinates, best first.

        Raises
        ------
        InputError
            If an image or a threshold is not what it should be, or the weights are NaN or overflow.
        """
        if progress is not None and not callable(progress):
            raise refusal("progress", "a function of the name of a stage", progress)
        judge_fraction(score_threshold, "score_threshold", optional=True)
        judge_fraction(iou_threshold, "iou_threshold", optional=True)
        judge_flag(paste_all, "paste_all")
        single = not are_several(images)
        images = judge_images([images] if single else images, self.dtype)
        if self.untrained:
            warn("predicting with random weights: this model, or its last layers, have not been trained (nor "
                 "had they when it was saved), so its detections mean nothing")
        if not images:
            return []
        batch, tell = self.transform.forward(images, self.dtype), progress or silent
        with ops.whole_pass(batch.images.size):
            traces = self.infer(batch, score_threshold, iou_threshold, tell=tell)
            tell("pasting")
            results = [self.detections(trace, size, paste_all) for trace, size in zip(traces, batch.original_sizes)]
        return results[0] if single else results

    def detections(self, trace, original_size, paste_all=True):
        """Return the `Detections` of a trace, in the coordinates of the image as it was given."""
        check_finite({"objectness": trace.objectness, "class logits": [trace.class_logits],
                      "mask logits": [] if trace.mask_logits is None else [trace.mask_logits]})
        labels = trace.candidate_labels[trace.detection_rows]
        boxes = scale_boxes(trace.detection_boxes, trace.image_size, original_size)
        masks = None
        if trace.mask_logits is not None:
            small = select_masks(trace.mask_logits, labels)
            masks = (paste_masks(small, boxes, original_size) if paste_all else
                     MaskSequence(paste_when_asked(small, boxes, original_size), range(len(small)), original_size,
                                  small.dtype))
        return Detections(boxes, labels, trace.candidate_scores[trace.detection_rows], masks, self.class_names)

    # ---- training ---------------------------------------------------------------------------------

    def loss_and_grads(self, images, targets, rng, loss_weights=None, return_dimages=False, batch_statistics=True):
        """Compute the five losses on a batch, and leave their gradient in every parameter's ``.grad``.

        Like torch in train mode it also moves the running statistics of the batch norms toward the batch's, so
        `predict` may answer a little differently afterwards. With ``batch_statistics=False`` nothing in the model
        changes but the gradients.

        `rng` is asked, in torchvision's order, for the size of each image, then image by image for the RPN's positive
        and negative anchors, then image by image for the heads' positive and negative RoIs.

        Parameters
        ----------
        images : list of (H, W, 3) ndarray, or (N, H, W, 3) ndarray
            uint8, or float in 0..1.
        targets : list of Target
        rng : np.random.Generator
            Or anything with ``random()`` and ``permutation(n)``, or a seed.
        loss_weights : dict, optional
            Weight of a loss, by name, in the sum that is differentiated; 1 where absent.
        return_dimages : bool
            Also return the gradient by the images.
        batch_statistics : bool
            Whether batch norms use the batch's own statistics (training) or the stored ones (inference).

        Returns
        -------
        losses : dict
            The five losses, unweighted, as floats: ``loss_classifier``, ``loss_box_reg``, ``loss_mask`` (if there is a
            mask branch), ``loss_objectness``, ``loss_rpn_box_reg``.
        dimages : list of (H, W, 3) ndarray
            Only if `return_dimages`.

        Raises
        ------
        InputError
            If images, targets or weights are not what they should be, or do not fit together.
        """
        images = judge_images(images, self.dtype)
        self._judge_targets(targets, images)
        dlosses = judge_loss_weights(loss_weights, self)      # of L, the sum of weight * loss
        rng = judge_rng(rng)
        judge_flag(return_dimages, "return_dimages")
        if judge_flag(batch_statistics, "batch_statistics"):
            self.untrained = False
        self.zero_grad()
        batch = self.transform.forward(images, self.dtype, rng)
        targets = [resize_target(target, size) for target, size in zip(targets, batch.image_sizes)]
        notes = Notes(batch_statistics)
        with ops.whole_pass(batch.images.size, training=True):
            trunk = self.forward_trunk(batch.images, notes)
            plan = self.make_plan(trunk, batch.image_sizes, targets, rng)
            losses = self.losses_for(trunk, plan, notes)
            del trunk, plan                             # what backward needs of them is in the notes
            dbatch = self.backward(dlosses, notes, return_dimages)
        losses = {name: float(loss) for name, loss in losses.items()}
        return (losses, self.transform.backward(dbatch, batch)) if return_dimages else losses

    # ---- looking inside ---------------------------------------------------------------------------

    def trace(self, image, target=None, rng=None):
        """Run one image through the model and keep every array on the way.

        Parameters
        ----------
        image : (H, W, 3) ndarray
            uint8, or float in 0..1.
        target : Target, optional
            Then the training path is traced too, under ``.training``: a training pass on running statistics, the very
            one of ``loss_and_grads([image], [target], rng, batch_statistics=False)``. (If ``config.min_size`` is a
            tuple, it draws a size of its own; with one size both paths see the same batch.)
        rng : np.random.Generator, optional
            For the training path; ``default_rng(0)`` if absent.

        Returns
        -------
        Trace
        """
        image = _judge_image(image, "image", self.dtype)
        if target is not None:
            self._judge_targets([target], [image])
        rng = judge_rng(0 if rng is None else rng)
        batch = self.transform.forward([image], self.dtype)
        with ops.whole_pass(batch.images.size):
            trace, = self.infer(batch)
        trace.image, trace.class_names = image, self.class_names
        trace.strides = self.rpn.anchor_generator.strides([level.shape[1:3] for level in trace.features],
                                                          batch.images.shape[1:3])
        trace.roi_levels = self.roi_heads.box_pooler.levels(make_rois([trace.proposals]))
        if self.roi_heads.has_masks:
            trace.mask_levels = self.roi_heads.mask_pooler.levels(make_rois([trace.detection_boxes]))
        trace.detections = self.detections(trace, image.shape[:2])
        trace.training = None if target is None else self._trace_training(image, target, rng)
        return trace

    def _trace_training(self, image, target, rng):
        """Make the training pass of `loss_and_grads` on stored statistics, and return what it decided and noted."""
        batch, notes = self.transform.forward([image], self.dtype, rng), Notes(batch_statistics=False)
        target = resize_target(target, batch.image_sizes[0])
        with ops.whole_pass(batch.images.size, training=True):
            trunk = self.forward_trunk(batch.images, notes)
            plan = self.make_plan(trunk, batch.image_sizes, [target], rng)
            losses = self.losses_for(trunk, plan, notes)
        anchors, rois, heads = plan.anchors, plan.rois, notes["roi_heads"]
        objectness_loss, anchor_box_loss = rpn_loss_shares(notes["rpn"]["losses"])
        class_loss, box_loss = box_loss_shares(heads["box_losses"])
        training = TrainingTrace(
            gt_boxes=target.boxes, gt_labels=target.labels, anchor_iou=anchors.matchings[0].iou,
            anchor_matches=anchors.matchings[0].matches, sampled_anchors=anchors.rows,
            num_positive_anchors=anchors.num_positives, anchor_delta_targets=anchors.delta_targets,
            anchor_objectness_loss=objectness_loss, anchor_box_loss=anchor_box_loss, candidates=rois.candidates[0],
            candidate_iou=rois.matchings[0].iou, candidate_matches=rois.matchings[0].matches,
            sampled_rois=rois.sampled[0], rois=rois.rois[:, 1:], roi_labels=rois.labels,
            roi_levels=self.roi_heads.box_pooler.levels(rois.rois), roi_delta_targets=rois.delta_targets,
            roi_class_loss=class_loss, roi_box_loss=box_loss, mask_rois=rois.mask_rois[:, 1:],
            mask_labels=rois.mask_labels, losses={name: float(loss) for name, loss in losses.items()})
        if self.roi_heads.has_masks:
            training.mask_targets, training.mask_logits = rois.mask_targets, heads["mask_logits"]
            training.mask_loss = mask_loss_shares(heads["mask_loss"])
        return training

    def load_state_dict(self, mapping, strict=True):
        """Take weights; see `Module.load_state_dict`."""
        report = super().load_state_dict(mapping, strict)
        self.untrained = False
        return report

    def _judge_targets(self, targets, images):
        """Judge that there is one `Target` for each image, of its size, with labels that the model knows."""
        if not isinstance(targets, (list, tuple)) or not all(isinstance(target, Target) for target in targets):
            raise InputError("targets must be a list of Target, one for each image")
        if len(images) != len(targets) or not images:
            raise InputError(f"got {len(images)} images and {len(targets)} targets; expected as many, and at least one")
        for i, (image, target) in enumerate(zip(images, targets)):
            target.check(image.shape[:2], self.num_classes, self.class_names, name=f"targets[{i}]")


def judge_images(images, dtype):
    """Return a list of (H, W, 3) float images in 0..1, from a list of images or one (N, H, W, 3) array."""
    if not are_several(images):
        raise refusal("images", "a list of (H, W, 3) arrays, or one (N, H, W, 3) array", images)
    return [_judge_image(image, f"images[{i}]", dtype) for i, image in enumerate(images)]


def are_several(images):
    """Whether the argument is a list of images, or one array of several."""
    return isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)


def _judge_image(image, name, dtype):
    if hasattr(image, "getbands"):  # of Pillow, which is imported only then
        from .images import as_float_image
        return as_float_image(image, name, dtype)
    return checked_image(image, name, dtype)


def judge_loss_weights(loss_weights, model):
    """Return one weight of at least 0 for each loss that the model has: those given, 1 where absent."""
    given = {} if loss_weights is None else loss_weights
    if not isinstance(given, dict):
        raise refusal("loss_weights", "a dict of name to factor", given)
    names = [name for name in LOSS_NAMES if name != "loss_mask" or model.roi_heads.has_masks]
    judge_known(given, names, "loss of the model")
    return {name: judge_number(given.get(name, 1), f"loss_weights[{name!r}]", 0) for name in names}


def check_finite(outputs):
    """Raise `InputError` if any number that the model computed is not finite: its weights are broken."""
    for name, arrays in outputs.items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"the model's {name} are not finite numbers: its weights are NaN, infinite or too "
                             "large, perhaps from a training that diverged")
