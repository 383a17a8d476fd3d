"""What the explorer's page can ask, and what it is answered: the protocol, without any transport.

A request is a dict: ``"ask"`` has the name of a question, and the other keys are that question's parts. An answer is a
dict and named arrays. `Explorer.answer` takes and gives these; `Explorer.reply` does the same in bytes, JSON in and a
message of `packing` out. The real model computes everything; the page only draws.

A request that is wrong in any way changes nothing: the answer is ``{"error": "one clear line"}``, without arrays.

The page does not read everything. ``truth``, ``candidate_rois`` and ``limits`` are for those who ask from Python.

**Coordinates.** Boxes are ``x1, y1, x2, y2`` and points ``x, y``, in pixels of the image on the stage: pixel (0, 0) is
the square from 0 to 1. A map covers ``span``: the image and the strip of padding at its right and lower edge. The cell
in row y, column x of a level with ``stride`` ``[sy, sx]`` covers the pixels from ``x * sx, y * sy`` to
``(x + 1) * sx, (y + 1) * sy``. Its anchors are centered on its *corner* ``x * sx, y * sy``. Anchors are listed level by
level, in a level row by row, in a cell shape by shape: those of a cell begin with row
``first + (y * width + x) * anchors_per_cell``.

**A scene.** These are the defaults of what is left out, and what else may stand there::

    {"width": 128, "height": 96, "background": [225, 225, 225], "noise": 0.03, "seed": 0,
     "shapes": [{"kind": "circle" | "square" | "triangle", "x": 40, "y": 50, "half": 20, "color": [196, 62, 46]}, ...],
     "ring": null | {"x": 46, "y": 48, "radius": 44, "color": [38, 84, 164]},
     "picture": null | number}

Sides are 16 to 256 pixels. There are at most 40 shapes; later ones lie in front. ``x`` and ``y`` are the center of a
shape and ``half`` is half its size; parts may lie outside the image; triangles point up. A shape that shows no more
than 40 pixels is neither painted nor part of the truth. The ring is part of the background, not an object. Colors are
0 to 255. The noise is 0 to 1, in parts of white, and comes from the seed: the same seed gives every pixel the same
noise. ``"seed": [7, 3]`` is the noise of image 3 of `ShapesDataset` with the seed 7, to show exactly that image.

**Names.** ``model`` is one of the names in ``models`` of ``hello`` (by default ``"finished"``), or ``"training"`` once
a training has been started. Labels are numbers; ``class_names[label]`` is the name, and 0 is the background. A truth
with the label null is a shape for which the model has no class.

Questions
=========

``{"ask": "hello"}``
    What there is:

    - ``version``; ``class_names`` of the finished model; ``kinds`` of shapes; ``default_scene``
    - ``models``: ``{name, label, task, note}``; ``task`` is what a model knows, "shapes", "rings" or "own"; ``note`` is
      what one must know to judge it fairly
    - ``presets``: ``{name, label, scene, note}``; ``losses``: ``{name, label}``
    - ``thresholds``: the finished model's ``{score_threshold, rpn_nms, box_nms}``; ``shown_score``: the lowest score of
      a detection that is worth drawing
    - ``limits``: ``{sides: [smallest, largest], shapes, steps}``

``{"ask": "draw", "seed": 7}``
    A random ``scene``, drawn like those of the training.

``{"ask": "look", "scene", "model", "score_threshold", "rpn_nms", "box_nms", "roi"}``
    One pass through the model: `MaskRCNN.trace`. A threshold that is left out or null is the model's own. The answer:

    - ``look``: its number, with which later questions say which look they mean; ``model``, ``class_names``,
      ``width``, ``height``, ``milliseconds`` that the answer took
    - ``thresholds``: those that were used
    - ``levels``: P2 to P6, ``{name, height, width, stride: [y, x], channels, first}``; ``first`` is the row of the
      level's first anchor. ``body_levels``: C2 to C5, the same without ``first``. ``span``: ``{width, height}``
    - ``anchors_per_cell``; ``counts``: ``{anchors, top_k, proposals, candidates, detections}``
    - ``detections``, best first: ``{box, label, score, history}``. ``history`` is ``{candidate, roi, top_k, anchor,
      level, cell: [y, x], anchor_of_cell, anchor_box, proposal_box, roi_level}``. The first four are its rows in the
      arrays below: candidates, proposals, ``top_k``, anchors. It was born in ``cell`` of ``level``, and its region was
      read from ``roi_level``; both are rows of ``levels``
    - ``truth``, back to front: ``{shape, box, label, pixels}``; ``shape`` is the row in the scene, ``pixels`` how
      many can be seen. ``unseen``: rows of the shapes that are not in the picture

    Arrays (H, W the scene's size; A anchors; T, R, M, D as in ``counts``; K classes):

    ===================  ================  ========================================================================
    ``image``            (H, W, 3) uint8   the picture as it was painted, with its noise
    ``C2`` .. ``P6``     (h, w, 3) uint8   each map in false colors; colors of two maps cannot be compared
    ``anchors``          (A, 4) float32
    ``objectness``       (A,) float32      probability
    ``moved``            (A, 4) float32    the box that each anchor would become, cut to the image
    ``top_k``            (T,) int32        rows of the anchors with the best objectness of each level
    ``kept``             (R,) int32        rows of ``top_k`` that NMS keeps, best first: these are the proposals
    ``proposals``        (R, 4) float32
    ``class_scores``     (R, K) float32
    ``candidate_rois``   (M,) int32        row of the proposals
    ``candidate_labels`` (M,) int32
    ``candidate_scores`` (M,) float32
    ``candidate_boxes``  (M, 4) float32
    ``detection_rows``   (D,) int32        rows of the candidates that NMS per class keeps: these are the detections
    ``masks``            (D, H, W) uint8   probability times 255, so 128 and more is the object; absent if the
                                           model has no masks
    ===================  ================  ========================================================================

    ``roi`` asks for a region along with the look, which saves a second question. The answer has what ``{"ask": "roi"}``
    would say as ``roi``, and its arrays as ``roi.patch`` and so on. ``roi`` is ``"best"``, the best detection;
    ``{"proposal": r}``; ``{"detection": d}``; or ``{"near": box}``, the best detection that overlaps with the box by
    half or more. Instead of a proposal that does not exist comes the last one; instead of a detection, the best one;
    if nothing is found, the best proposal. Without proposals ``roi`` is null.

``{"ask": "channel", "level": "P3", "channel": 5, "look": n}``
    One channel of a map of the last look. ``low`` and ``high``: its smallest and largest number. Array: ``values``
    (h, w) float32.

``{"ask": "roi", "proposal": r, "look": n}`` or ``{"ask": "roi", "detection": d, "look": n}``
    What the heads read of a region of the last look, and what they said. ``proposal``, ``box``, ``level`` (a row of
    ``levels``), ``class_names``; ``reads``: "points" (RoIAlign: each bin is the mean of four) or "cells" (RoIPool:
    the cells that had the largest number of a bin in some channel). Arrays: ``points_pixels`` (n, 2) float32, the
    points, or the corners of the cells; of RoIAlign n is 196 = 14 * 14, row by row; ``patch`` (7, 7, 3) uint8 in the
    false colors of the level's map; ``class_scores`` (K,) float32; ``class_boxes`` (K, 4) float32, what the box becomes
    for each class. For a detection also ``detection``, ``label`` and, if the model has masks, ``mask_level``, from
    which the mask head has read, and ``masks`` (K, 28, 28) float32, probabilities.

    In both, ``look`` may be left out. If it is not the last look's number, the answer is ``{"stale": true}``.

``{"ask": "gradient", "scene", "model", "loss": "loss_mask"}``
    How each pixel changes a loss, or, with ``"loss": "loss_total"``, the sum of all. Batch norms use their stored
    statistics, and nothing in the model changes. ``losses``, by name, ``loss``, ``high`` (the largest number),
    ``milliseconds``. Array: ``gradient`` (H, W) float32, the sum over the colors of the absolute gradient, per unit
    of brightness (0 to 1).

``{"ask": "minds", "scene", "models": ["step-100", "finished"], "score_threshold", "rpn_nms", "box_nms"}``
    What one to four models find in the same picture. ``minds``, in the order asked for: ``{model, class_names,
    detections}``, detections as those of a look, but without history. ``milliseconds``. Arrays: ``image``, and
    ``masks.`` with the name of each model, such as ``masks.finished``, as the ``masks`` of a look. The last look stays
    the last look.

``{"ask": "train", "action": "start" | "go" | "reset", "scene", "model", "steps"}``
    Training live on the scene, in three actions:

    - "start" begins a training with a copy of ``model`` (by default the untrained one), which replaces an earlier
      training, and does 0 to 5 ``steps`` (by default 0)
    - "go" does 1 to 5 ``steps`` (by default 1); it takes no ``model``
    - "reset" goes back to the beginning of this training; it takes neither ``model`` nor ``steps``

    The answer and its arrays are those of ``look`` for the model ``"training"``, and the parts of a look, ``roi`` and
    the thresholds, may be given as well. Besides: ``steps`` so far, and ``losses``, by name a list with a number for
    each step; ``loss_total`` is their sum. If the numbers leave all bounds, the answer is an error: the step at which
    this happens is not done, those before it are.

``{"ask": "picture"}`` with a file's bytes beside it (PNG, JPEG, ...: what Pillow reads), or
``{"ask": "picture", "width": w, "height": h}`` with w * h * 3 bytes, red, green, blue, row by row
    A picture for the background. The answer is ``picture``, the number for a scene's ``picture``, and ``width`` and
    ``height`` that a scene should have so that nothing is stretched: the longer side is 128 (raw bytes are not
    resized: at most 256 a side). The last eight are kept. Array: ``image``, as it was understood.
"""

import contextlib
import dataclasses
import sys
import time

import numpy as np

from ..errors import InputError
from ..files import Unreadable, parse_json
from ..judge import judge_fraction, judge_known, judge_number, judge_numbers, refusal
from ..light.pruning import judge_trainable
from .look import Look, as_bytes, names_of, rounded
from .minds import IN_TRAINING, Minds
from .packing import pack
from .pictures import image_of_bytes, image_of_file
from .scene import DEFAULTS, KINDS, LARGEST_SEED, MOST_SHAPES, NOTES, SIDES, Stage, drawn_scene, presets

QUESTIONS = {       # and the parts that each may have
    "hello": (),
    "draw": ("seed",),
    "look": ("scene", "model", "score_threshold", "rpn_nms", "box_nms", "roi"),
    "channel": ("level", "channel", "look"),
    "roi": ("proposal", "detection", "look"),
    "gradient": ("scene", "model", "loss"),
    "minds": ("scene", "models", "score_threshold", "rpn_nms", "box_nms"),
    "train": ("action", "scene", "model", "steps", "score_threshold", "rpn_nms", "box_nms", "roi"),
    "picture": ("width", "height"),
}
THRESHOLDS = {"score_threshold": "box_score_thresh", "rpn_nms": "rpn_nms_thresh", "box_nms": "box_nms_thresh"}
LOSSES = {"loss_objectness": "RPN: is there an object?", "loss_rpn_box_reg": "RPN: how must the anchor move?",
          "loss_classifier": "Box head: of which class?", "loss_box_reg": "Box head: where are the edges?",
          "loss_mask": "Mask head: which pixels?"}
TOTAL = "loss_total"
SHOWN_SCORE = 0.5
MOST_STEPS, MOST_MINDS = 5, 4
STEPS = {"start": (0, MOST_STEPS), "go": (1, MOST_STEPS), "reset": (0, 0)}      # the fewest (by default) and the most
PICTURES_KEPT = 8
LONGEST_ERROR = 400
FARTHEST = 1e4      # pixels


def parsed(request):
    """Return what a request in bytes of JSON says; `InputError` if it cannot be read."""
    try:
        return parse_json(request)
    except Unreadable as error:
        raise InputError(f"the request {error}") from None


def refused(error):
    """Return the answer to a request that is not right: one line."""
    return {"error": " ".join(str(error).split())[:LONGEST_ERROR]}


class Explorer:
    """Answers the page: holds the models, the pictures that were sent, the last look and a training.

    Whoever asks shares these: with two windows, the last look is that of the window that has looked last. Several
    threads must not ask at once.

    Parameters
    ----------
    own : MaskRCNN, optional
        A model of one's own, as ``"own"`` among the others.
    own_label : str
        What the page calls it.

    Examples
    --------
    >>> answer, arrays = Explorer().answer({"ask": "look", "scene": {"shapes": [
    ...     {"kind": "circle", "x": 40, "y": 50, "half": 20, "color": [196, 62, 46]}]}, "score_threshold": 0.5})
    >>> [answer["class_names"][found["label"]] for found in answer["detections"]], arrays["masks"].shape
    (['circle'], (1, 96, 128))
    """

    def __init__(self, own=None, own_label="Your own model"):
        self.minds = Minds(own, own_label)
        self.pictures, self._pictures_seen = {}, 0
        self._last, self._looks = None, 0
        self._training = None

    def reply(self, request, blob=b""):
        """Answer bytes with bytes: what a transport carries.

        Parameters
        ----------
        request : bytes
            JSON.
        blob : bytes
            A picture that goes with it.

        Returns
        -------
        message : bytes
            As `packing` describes it. Whatever the request is, there is an answer.
        """
        try:
            return pack(*self.answer(parsed(request), blob))
        except InputError as error:
            return pack(refused(error), {})

    def answer(self, request, blob=b""):
        """Answer a request; the module's docstring has them all.

        Parameters
        ----------
        request : dict
        blob : bytes

        Returns
        -------
        answer : dict
            What JSON can hold; ``{"error": "one line"}`` if the request is not right.
        arrays : dict of str to ndarray
            uint8, int32 or float32.
        """
        try:
            if not isinstance(request, dict):
                raise refusal("a request", "an object", request)
            parts = {name: value for name, value in request.items() if name != "ask"}
            judge_known([request.get("ask")], list(QUESTIONS), "question")
            judge_known(parts, list(QUESTIONS[request["ask"]]), f"part of {request['ask']!r}")
            if request["ask"] == "picture":
                parts["blob"] = blob
            return getattr(self, f"_{request['ask']}")(**parts)
        except InputError as error:
            return refused(error), {}
        except MemoryError:
            return refused("there is not enough memory for this"), {}
        except RecursionError:
            return refused("the request is nested too deeply"), {}

    # ---- what there is ----

    def _hello(self):
        finished = self.minds.get("finished")
        version = sys.modules[__package__.partition(".")[0]].__version__
        return {"version": version, "class_names": finished.class_names, "models": self.minds.list(),
                "presets": [{"name": name, "label": label, "scene": scene, "note": NOTES[name]}
                            for name, label, scene in presets()],
                "kinds": list(KINDS), "default_scene": {**DEFAULTS, "background": list(DEFAULTS["background"])},
                "losses": [{"name": name, "label": LOSSES[name]} for name in LOSSES],
                "thresholds": {name: getattr(finished.config, option) for name, option in THRESHOLDS.items()},
                "shown_score": SHOWN_SCORE,
                "limits": {"sides": list(SIDES), "shapes": MOST_SHAPES, "steps": MOST_STEPS}}, {}

    def _draw(self, seed=0):
        return {"scene": drawn_scene(judge_number(seed, "seed", 0, LARGEST_SEED, whole=True))}, {}

    def _picture(self, blob, width=None, height=None):
        image = image_of_file(blob) if width is None and height is None else image_of_bytes(blob, width, height)
        self._pictures_seen += 1
        self.pictures[self._pictures_seen] = image
        for number in list(self.pictures)[:-PICTURES_KEPT]:
            del self.pictures[number]
        return {"picture": self._pictures_seen, "width": image.shape[1], "height": image.shape[0]}, {"image": image}

    # ---- what a model sees ----

    def _look(self, scene=None, model="finished", roi=None, **thresholds):
        return self._look_at(self._stage(scene), model, self._model(model), _judged_options(thresholds),
                             _judged_wish(roi))

    def _look_at(self, stage, name, model, options, wish):
        start = time.perf_counter()
        image, truth = stage.painted(model.class_names)
        with _with_options(model, options):
            used = {each: getattr(model.config, option) for each, option in THRESHOLDS.items()}
            trace = model.trace(image)
        look = Look(self._looks + 1, model, trace)
        answer, arrays = look.answer(), {"image": image, **look.arrays()}
        if wish is not None:
            said, read = look.wished_region(wish)
            answer["roi"] = said or None
            arrays.update({f"roi.{part}": array for part, array in read.items()})
        self._last, self._looks = look, look.number
        answer.update(
            model=name, thresholds=used, unseen=sorted(set(range(len(stage.shapes))) - set(truth.shapes)),
            truth=[{"shape": shape, "label": label, "box": rounded(box), "pixels": int(np.count_nonzero(mask))}
                   for shape, label, box, mask in zip(*truth)],
            milliseconds=_milliseconds(time.perf_counter() - start))
        return answer, arrays

    def _channel(self, level=None, channel=None, look=None):
        if (last := self._looked(look)) is None:
            return {"stale": True}, {}
        judge_known([level], list(last.maps), "map of the last look")
        feature = last.maps[level]
        channel = judge_number(channel, "channel", 0, feature.shape[2] - 1, whole=True)
        values = np.asarray(feature[:, :, channel], np.float32)
        return {"level": level, "channel": channel, "low": float(values.min()), "high": float(values.max())}, {
            "values": values}

    def _roi(self, proposal=None, detection=None, look=None):
        if (last := self._looked(look)) is None:
            return {"stale": True}, {}
        if (proposal is None) == (detection is None):
            raise InputError("roi: say which, either proposal or detection")
        if detection is None:
            return last.region(_judged_row(proposal, "proposal", len(last.trace.proposals)))
        return last.region_of_detection(_judged_row(detection, "detection", len(last.trace.detections)))

    # ---- what several models see ----

    def _minds(self, scene=None, models=None, **thresholds):
        start = time.perf_counter()
        if not isinstance(models, list) or not 1 <= len(models) <= MOST_MINDS:
            raise refusal("models", f"a list of 1 to {MOST_MINDS} names", models)
        image, _ = self._stage(scene).painted(())
        options = _judged_options(thresholds)
        minds, arrays = [], {"image": image}
        for name in models:
            model = self._model(name)
            with _with_options(model, options):
                found = model.trace(image).detections
            minds.append({"model": name, "class_names": names_of(model), "detections": [
                {"box": rounded(box), "label": int(label), "score": round(float(score), 4)}
                for box, label, score in zip(found.boxes, found.labels, found.scores)]})
            if found.masks is not None:
                arrays[f"masks.{name}"] = as_bytes(found.masks)
        return {"minds": minds, "milliseconds": _milliseconds(time.perf_counter() - start)}, arrays

    # ---- what changes a loss ----

    def _gradient(self, scene=None, model="finished", loss=TOTAL):
        start = time.perf_counter()
        asked = self._trainable(model)
        judge_known([loss], [*asked.loss_names, TOTAL], "loss of the model")
        image, truth = self._stage(scene).painted(asked.class_names)
        weights = {each: float(loss in (each, TOTAL)) for each in asked.loss_names}
        losses, (dimage,) = asked.loss_and_grads([image], [truth.target()], 0, weights, return_dimages=True,
                                                 batch_statistics=False)
        asked.zero_grad()       # of the weights, which nobody has asked for
        gradient = np.abs(dimage).sum(axis=2, dtype=np.float32)
        high = float(gradient.max())
        _judge_finite([*losses.values(), high], f"the losses of model {model!r}")
        return {"model": model, "loss": loss, "losses": {**losses, TOTAL: sum(losses.values())}, "high": high,
                "milliseconds": _milliseconds(time.perf_counter() - start)}, {"gradient": gradient}

    def _train(self, action=None, scene=None, model=None, steps=None, roi=None, **thresholds):
        judge_known([action], list(STEPS), "action of 'train'")
        fewest, most = STEPS[action]
        steps = judge_number(fewest if steps is None else steps, f"steps of {action!r}", fewest, most, whole=True)
        stage, options, wish = self._stage(scene), _judged_options(thresholds), _judged_wish(roi)
        if action == "start":
            from .live import LiveTraining      # only here: a page on which nobody trains needs nothing of it
            training = LiveTraining(self._trainable("untrained" if model is None else model))
        elif model is not None:
            raise InputError(f"model: {action!r} stays with the model that was started; only 'start' takes one")
        else:
            training = self._started()
        # Nothing is wrong with the request: only now may it change something.
        if action == "reset":
            training.reset()
        if steps:
            image, truth = stage.painted(training.model.class_names)
            training.go(image, truth.target(), steps)
        self._training = training
        answer, arrays = self._look_at(stage, IN_TRAINING, training.model, options, wish)
        losses = {**training.losses, TOTAL: [sum(step) for step in zip(*training.losses.values())]}
        return {**answer, "steps": len(losses[TOTAL]), "losses": losses}, arrays

    # ---- who and what is meant ----

    def _stage(self, scene):
        return Stage({} if scene is None else scene, self.pictures)

    def _model(self, name):
        if name == IN_TRAINING:
            return self._started().model
        return self.minds.get(name)

    def _started(self):
        """The training that has been started."""
        if self._training is None:
            raise InputError("nothing is being trained; start a training first")
        return self._training

    def _trainable(self, name):
        model = self._model(name)
        judge_trainable(model, f"model {name!r}")
        return model

    def _looked(self, number):
        """The last look, or None if another one is meant."""
        number = judge_number(number, "look", 1, whole=True, optional=True)
        if self._last is None:
            raise InputError("nothing was looked at yet; ask 'look' first")
        return self._last if number in (None, self._last.number) else None


def _judged_options(thresholds):
    """The options of a model's config that are given as thresholds."""
    return {THRESHOLDS[name]: judge_fraction(value, name) for name, value in thresholds.items() if value is not None}


@contextlib.contextmanager
def _with_options(model, options):
    """Let a model have these options within the block."""
    before = model.config
    model.config = dataclasses.replace(before, **options)
    try:
        yield
    finally:
        model.config = before


def _milliseconds(seconds):
    return round(1000 * seconds, 2)


def _judged_wish(roi):
    """Which region is to come along with a look, as `Look.wished_region` takes it, or None."""
    if roi is None or roi == "best":
        return None if roi is None else {}
    if not isinstance(roi, dict) or len(roi) != 1:
        raise refusal("roi", "'best', or an object with one of proposal, detection and near", roi)
    (name, value), = roi.items()
    judge_known([name], ["proposal", "detection", "near"], "part of 'roi'")
    if name != "near":
        return {name: judge_number(value, name, 0, whole=True)}
    return {name: judge_numbers(value, name, 4, lowest=-FARTHEST, highest=FARTHEST)}


def _judged_row(row, name, number):
    if number == 0:
        raise InputError(f"the last look has no {name}")
    return judge_number(row, name, 0, number - 1, whole=True)


def _judge_finite(numbers, what):
    if not np.isfinite(numbers).all():
        raise InputError(f"{what} are not finite numbers: its weights are NaN, infinite or too large")
