"""What one prediction costs, layer by layer: multiplications, weights, memory and time.

Five numbers are called the size of a model, and they do not go together. *Multiply-adds* are the work of the matrix
products. A convolution applies its whole weight at each output pixel, so they are output pixels times numbers in the
weight: a layer early in the net, on a large map, costs much with few weights. *Parameters* are those numbers, and
*weight bytes* what they take, four each or fewer; a fully connected layer uses each of them once a RoI, so it has many
and works little. *Activation bytes* are what layers hand on; in a training all of it has to be kept. *Milliseconds* are
measured, and hold what is no product as well: reading and writing memory, sorting boxes, pasting masks.

Nothing is modelled: an image goes through the model while somebody listens to its layers (`nn.listening`). So it is the
cost of that image, with as many proposals and detections as there are in it.
"""

import time
import warnings
from typing import NamedTuple

import numpy as np

from . import nn
from .errors import InputWarning
from .judge import checked_image, judge_count, judge_numbers, judge_size, refusal
from .nn.listening import listening
from .stages.transform import resized_size

REPEATS = 5
STAGES = ("transform", "body", "feature pyramid", "region proposals", "box head", "mask head", "dense head",
          "semantic head", "pasting")
QUANTITIES = ("multiply_adds", "parameters", "weight_bytes", "activation_bytes", "milliseconds")
# of a table's columns: heading, unit, digits behind the point
COLUMNS = {"multiply_adds": ("10^6 mult-adds", 1e6, 2), "parameters": ("parameters", 1, 0),
           "weight_bytes": ("weights kB", 1e3, 1), "activation_bytes": ("activations kB", 1e3, 1),
           "milliseconds": ("ms", 1, 2)}


class Share(NamedTuple):
    """What a layer, a stage or a whole prediction costs."""

    name: str               # of a layer: its path, which its keys in the state dict begin with
    stage: str
    multiply_adds: int
    parameters: int         # numbers in weights and biases, those of a norm that is folded in included
    weight_bytes: int       # of all that a layer stores, running statistics included
    activation_bytes: int   # of what comes out
    milliseconds: float


class Cost:
    """What one prediction costs; its text is a table of the stages.

    Attributes
    ----------
    layers : list of Share
        In the order in which they began to work.
    stages : list of Share
        `STAGES`, as far as the model has them. A stage takes longer than its layers: what is done between them.
    total : Share
    size, seen : (height, width)
        Of the image, and that to which the model resizes it, which is what its layers see.
    num_proposals, num_detections : int
        RoIs that the box head, and the mask head, looked at.
    """

    def __init__(self, layers, stages, size, seen, num_proposals, num_detections):
        self.layers, self.stages, self.total = layers, stages, _sum("total", "", stages)
        self.size, self.seen, self.num_proposals, self.num_detections = size, seen, num_proposals, num_detections

    def table(self, layers=True):
        """Return a text with one line for each stage, and below it its layers, if `layers`."""
        shares = [(share, depth) for stage in self.stages
                  for share, depth in [(stage, ""), *((own, "  ") for own in self.layers
                                                      if layers and own.stage == stage.name)]]
        shares.append((self.total, ""))
        width = max(len(depth + share.name) for share, depth in shares)
        head = " " * width + "".join(f"{heading:>16}" for heading, _, _ in COLUMNS.values())
        lines = [f"{depth + share.name:<{width}}" + "".join(
            f"{getattr(share, name) / unit:>16,.{digits}f}" for name, (_, unit, digits) in COLUMNS.items())
            for share, depth in shares]
        seen = "" if self.seen == self.size else f" (seen at {self.seen[0]} x {self.seen[1]})"
        return "\n".join([f"one image of {self.size[0]} x {self.size[1]}{seen}, {self.num_proposals} proposals, "
                          f"{self.num_detections} detections", head, *lines])

    def __repr__(self):
        return self.table(layers=False)


def cost(model, size=None, image=None, repeats=REPEATS, tell=None):
    """Measure what one prediction costs.

    Parameters
    ----------
    model : MaskRCNN
        With or without a mask branch, of any weights (see `light`); or one of `others`.
    size : (height, width), optional
        Of an image of toy shapes that is drawn, in pixels; (128, 128) if absent. The model resizes it as every image.
    image : (H, W, 3) ndarray, optional
        In its place, an image of one's own. The heads' cost grows with what they find in it.
    repeats : int
        Predictions whose times are measured, after one that is not; times are medians.
    tell : callable, optional
        ``tell(done)`` hears how many of these ``repeats + 1`` predictions are done.

    Returns
    -------
    Cost

    Raises
    ------
    InputError
        If an argument is not what it should be, or size and image are both given.

    Examples
    --------
    >>> from npmaskrcnn.shipped import trained_tiny
    >>> found = cost(trained_tiny(), (96, 128), repeats=1)
    >>> [stage.name for stage in found.stages][:3], found.layers[0].name, found.layers[0].multiply_adds
    (['transform', 'body', 'feature pyramid'], 'backbone.body.conv1', 1990656)
    """
    if not hasattr(model, "predict") or not isinstance(model, nn.Module):
        raise refusal("model", "a MaskRCNN", model)
    if size is not None and image is not None:
        raise refusal("size", "left out where an image is given", size)
    if tell is not None and not callable(tell):
        raise refusal("tell", "a function of the number of predictions that are done", tell)
    repeats = judge_count(repeats, "repeats")
    if image is None:
        from .datasets import ShapesDataset     # only then: reading pictures takes Pillow

        height, width = judge_numbers((128, 128) if size is None else size, "size", 2, lowest=1, whole=True)
        judge_size((height, width), "size")
        image = ShapesDataset(1, image_size=(height, width), seed=1)[0][0]
    else:
        checked_image(image)
    runs, tell = [], tell or (lambda done: None)
    tell(0)
    while len(runs) <= repeats:
        runs.append(_one_run(model, image))
        tell(len(runs))
    runs = runs[1:]
    calls, _, num_proposals, num_detections = runs[0]
    calls = [call._replace(milliseconds=float(np.median([run[0][i].milliseconds for run in runs])))
             for i, call in enumerate(calls)]
    layers = {}
    for call in calls:      # one for each time that a layer is at work: the RPN's, on each level of the pyramid
        layers.setdefault(call[:2], []).append(call)
    layers = [_sum(*key, calls, *calls[0][3:5]) for key, calls in layers.items()]
    stages = []
    for name in (name for name in STAGES if name in runs[0][1]):
        whole = _sum(name, name, [share for share in layers if share.stage == name])
        stages.append(whole._replace(milliseconds=1e3 * float(np.median([run[1][name] for run in runs]))))
    size = tuple(image.shape[:2])
    seen = resized_size(size, np.max(model.config.min_size), model.config.max_size)
    return Cost(layers, stages, size, seen, num_proposals, num_detections)


def count_products(model, run):
    """Count the multiply-adds of the matrix products of whatever a model is made to do.

    Parameters
    ----------
    model : Module
    run : callable
        Takes nothing, and makes the model work.

    Returns
    -------
    counts : dict of str to int
        By the path of the layer.
    """
    counts = {}

    def hear(heard):
        counts[heard.path] = counts.get(heard.path, 0) + multiply_adds(heard)

    with listening(model, hear):
        run()
    return counts


def multiply_adds(heard):
    """Return the multiply-adds of one call of a layer; 0 for layers without products.

    A weight has ``kh * kw * C_in / groups * C_out`` numbers. All of them are applied once at each pixel of the output;
    in a transposed convolution, at each pixel of the input; in a linear layer, at each row.
    """
    layer = heard.layer
    if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        return 0
    pixels = heard.arguments[0] if isinstance(layer, nn.ConvTranspose2d) else heard.y
    return pixels.size // pixels.shape[-1] * layer.weight.data.size


def _one_run(model, image):
    """Predict once; return a share for each call of a layer, seconds by stage, and the numbers of RoIs."""
    calls, begun, num_rois = [], [("transform", time.perf_counter())], {}

    def hear(heard):
        if heard.path == "roi_heads.box_pooler":
            num_rois["box"] = len(heard.y)
        # a layer that hands on what is there computes nothing and fills no memory
        if isinstance(heard.y, np.ndarray) and not isinstance(heard.layer, nn.Flatten):
            calls.append(_share(heard, begun[-1][0]))

    with listening(model, hear), warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)   # of weights that are random: they cost the same
        found = model.predict(image, progress=lambda name: begun.append((name, time.perf_counter())))
    begun.append(("", time.perf_counter()))
    seconds = {name: after - start for (name, start), (_, after) in zip(begun, begun[1:])}
    return calls, seconds, num_rois.get("box", 0), len(found)


def _share(heard, stage):
    """Return what one call of a layer costs."""
    owners = [heard.layer] if heard.norm is None else [heard.layer, heard.norm]
    arrays = {(i, name): value.data for i, owner in enumerate(owners) for name, value in owner.named_arrays()}
    parameters = sum(array.size for (_, name), array in arrays.items() if name in ("weight", "bias"))
    return Share(heard.path, stage, multiply_adds(heard), parameters, sum(array.nbytes for array in arrays.values()),
                 heard.y.nbytes, 1e3 * heard.seconds)


def _sum(name, stage, shares, parameters=None, weight_bytes=None):
    """Add shares up; those of one layer share its weights, whose numbers are then given."""
    total = Share(name, stage, *(sum(getattr(share, quantity) for share in shares) for quantity in QUANTITIES))
    return total if parameters is None else total._replace(parameters=parameters, weight_bytes=weight_bytes)
