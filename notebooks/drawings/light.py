"""The pictures of the lesson on light models: what each stage of a prediction costs, what becomes of a row of weights
and of the triangle when numbers get fewer bits, what each way to save keeps of the masks, and why a layer that
multiplies little need not be quick. The last one also measures: it listens to the layers of three bodies at work."""

import numpy as np

from npmaskrcnn import nn, ops
from npmaskrcnn.costs import multiply_adds
from npmaskrcnn.nn.listening import listening
from npmaskrcnn.notebook import THE_OBJECT, heading
from npmaskrcnn.plots.style import CURVE, INK, MUTED, SMALL, class_color, draw_boxes, new_figure, \
    show_image, styled

PALE = "#A9B7C9"
COLUMNS = {"multiply_adds": ("multiply-adds", 1e6, "million", 0), "parameters": ("parameters", 1e3, "thousand", 0),
           "activation_bytes": ("activations", 1e6, "MB", 1), "milliseconds": ("time", 1, "ms", 0)}
KINDS = {"convolution 3x3": ("o", CURVE), "convolution 1x1": ("s", "#7A9CC6"),
         "depthwise": ("^", "#A01858")}


@styled
def stage_bars(cost):
    """A bar for each stage of a prediction in four quantities; the dark part of the time is spent inside of layers."""
    figure = new_figure(8.8, 2.7)
    axes = figure.subplots(1, 4, sharey=True)
    places = np.arange(len(cost.stages))
    for ax, (quantity, (title, unit, unit_name, digits)) in zip(axes, COLUMNS.items()):
        values = np.array([getattr(stage, quantity) for stage in cost.stages]) / unit
        is_time = quantity == "milliseconds"
        ax.barh(places, values, color=PALE if is_time else CURVE)
        if is_time:
            ax.barh(places, [sum(layer.milliseconds for layer in cost.layers if layer.stage == stage.name)
                             for stage in cost.stages], color=CURVE)
        for place, value in zip(places, values):
            ax.text(value, place, f" {value / values.sum():.0%}", va="center", fontsize=SMALL)
        ax.set(xlim=(0, 1.35 * values.max()),
               title=f"{title}:\n{values.sum():,.{digits}f} {unit_name}", xlabel=unit_name)
    axes[0].set_yticks(places, [stage.name for stage in cost.stages])
    axes[0].invert_yaxis()
    return figure


def _best_triangle(found, target):
    """Row of the triangle that overlaps the true one most, that IoU, and the IoU of its mask; None without one."""
    rows = np.flatnonzero(found.labels == 3)
    if not len(rows):
        return None
    overlaps = ops.box_iou(found.boxes[rows], target.boxes[[THE_OBJECT]].astype(found.boxes.dtype))[:, 0]
    row = rows[overlaps.argmax()]
    mask, truth = found.masks[row] >= 0.5, target.masks[THE_OBJECT]
    return row, overlaps.max(), (mask & truth).sum() / (mask | truth).sum()


@styled
def few_bits(bits, model, rounded, image, target, average_precision):
    """One row of weights before and after rounding; the triangle that the rounded model finds; its score and AP."""
    figure = new_figure(8.2, 2.9)
    steps, picture, words = figure.subplots(1, 3, width_ratios=(1.15, 1, 0.95))
    weights, rounded_weights = (one.roi_heads.box_predictor.cls_score.weight.data[:, 3] for one in (model, rounded))
    found = rounded.predict(image)
    steps.plot([-0.2, 0.2], [-0.2, 0.2], color=MUTED, linewidth=0.8)
    steps.plot(weights, rounded_weights, "o", markersize=3.5, color=CURVE)
    steps.set(xlim=(-0.21, 0.21), ylim=(-0.21, 0.21), xlabel="weight", ylabel="rounded to whole steps",
              title=f"{bits} bits: {2 ** bits - 1} values to choose from")
    show_image(picture, image, axis_labels=False)
    picture.contour(np.arange(128) + 0.5, np.arange(96) + 0.5, target.masks[THE_OBJECT], [0.5], colors="white",
                    linewidths=1.2, linestyles="dashed")
    best = _best_triangle(found, target)
    lines = ["no triangle"]
    if best:
        row, overlap, mask_overlap = best
        picture.contour(np.arange(128) + 0.5, np.arange(96) + 0.5, found.masks[row], [0.5], colors=class_color(3),
                        linewidths=2)
        draw_boxes(picture, found.boxes[[row]], class_color(3))
        lines = [f"score {found.scores[row]:.3f}", f"IoU of the box {overlap:.3f}",
                 f"IoU of the mask {mask_overlap:.3f}"]
    picture.set(xlim=(38, 80), ylim=(88, 46), title="dashed: the true mask")
    lines = ["this triangle:", *lines, "", "objects of 30 other images:", f"mask AP {average_precision:.3f}"]
    words.text(0, 0.92, "\n".join(lines), va="top", fontsize=10, linespacing=1.5, transform=words.transAxes)
    words.axis("off")
    return figure


RUNS = {        # stored results, and what they are of
    "full": "the shipped model", "float16": "float16", "int8": "int8 weights", "int8-inputs": "int8 weights and inputs",
    "zeros-0.8-trained": "a fifth of the weights, then trained",
    "channels-0.5": "half of the channels, not trained",
    "channels-0.5-trained": "half of the channels, then trained",
    "channels-0.35-trained": ".35 of the channels, then trained", "scratch-0.5": "half as wide, from random weights",
    "mobilenet": "MobileNetV3's blocks, from random weights", "full-trained": "the shipped model, trained further"}
# of a stored result: text beside its point, and where, for time and for bytes (nowhere: said by another one)
POINTS = {
    "full": (("shipped, float16, int8 weights", "upper left"), ("shipped", "upper left")),
    "float16": (None, ("float16", "upper left")), "int8": (None, ("int8 weights", "above")),
    "int8-inputs": (("int8 inputs too", "lower left"), ("int8 inputs too", "right")),
    "full-trained": (("shipped, trained further", "left"),) * 2,
    "channels-0.5-trained": (("half of the channels", "above"), ("half of the channels", "right")),
    "channels-0.35-trained": ((".35 of the channels", "right"),) * 2,
    "zeros-0.8-trained": (("a fifth of the weights", "below"), ("a fifth of the weights", "left")),
    "scratch-0.5": (("half as wide, from random weights", "right"),) * 2,
    "mobilenet": (("MobileNetV3's blocks", "upper right"), ("MobileNetV3's blocks", "upper left")),
}
SHIFTS = {      # by how many points the text is moved, and which of its edges stand there
    "right": ((7, 0), "left", "center"), "left": ((-7, 0), "right", "center"), "above": ((0, 6), "center", "bottom"),
    "below": ((0, -6), "center", "top"), "upper left": ((5, 6), "right", "bottom"),
    "upper right": ((2, 5), "left", "bottom"), "lower left": ((5, -6), "right", "top")}


@styled
def what_helps(rows):
    """Mask AP of stored light models against the time of a prediction and against the bytes of the file."""
    figure = new_figure(8.8, 3.8)
    panels = figure.subplots(1, 2, sharey=True)
    for i, ax in enumerate(panels):
        ax.axhline(rows["full"]["segm_AP"], color=MUTED, linewidth=0.8, zorder=0)
        for name, notes in POINTS.items():
            row = rows[name]
            x = row["bytes"] / rows["full"]["bytes"] if i else row["milliseconds"] / row["milliseconds_full"]
            ax.plot(x, row["segm_AP"], "o", color=CURVE, markersize=6,
                    markerfacecolor=CURVE if row["steps"] else "white")
            if notes[i]:
                text, where = notes[i]
                shift, across, along = SHIFTS[where]
                ax.annotate(text, (x, row["segm_AP"]), xytext=shift, textcoords="offset points", ha=across, va=along,
                            fontsize=SMALL, linespacing=1)
    panels[0].set(xlabel="time of a prediction, of the shipped model's", ylabel="mask AP", xlim=(0.6, 1.53),
                  ylim=(0.73, 0.812))
    panels[1].set(xlabel="bytes of the file, of the shipped model's", xlim=(0, 1.05))
    panels[1].plot([], [], "o", color=CURVE, label="trained for 1,200 steps")
    panels[1].plot([], [], "o", color=CURVE, markerfacecolor="white", label="not trained")
    panels[1].legend(loc="lower right")
    heading(figure, "Bytes are cheap to save, time is not")
    return figure


def layer_speeds(model, batch, repeats=20):
    """Listen to a body at work: (kind, multiply-adds for each number moved, multiply-adds a nanosecond) of each layer.

    Numbers moved are those of the input, the weight and the output. Times are the shortest of several.
    """
    found = {}

    def hear(heard):
        if isinstance(heard.layer, nn.Conv2d) and heard.y.shape[1] > 1:     # not those of the squeezed means
            weight = heard.layer.weight.data
            kind = "depthwise" if weight.shape[2] == 1 else f"convolution {weight.shape[0]}x{weight.shape[1]}"
            work, moved = multiply_adds(heard), heard.arguments[0].size + weight.size + heard.y.size
            seconds = min(heard.seconds, found.get(heard.path, (kind, 0, 0, np.inf))[3])
            found[heard.path] = kind, work / moved, work, seconds

    with listening(model, hear):
        for _ in range(repeats):
            model.backbone.body.forward(batch, nn.FORGET)
    return [(kind, intensity, work / seconds / 1e9) for kind, intensity, work, seconds in found.values()]


@styled
def speeds(bodies, batch):
    """How fast each layer of some bodies multiplies, against how often it uses a number that it has moved."""
    figure = new_figure(8.2, 3.4)
    ax = figure.subplots()
    layers = [layer for body in bodies for layer in layer_speeds(body, batch)]
    for kind, (marker, color) in KINDS.items():
        points = np.array([layer[1:] for layer in layers if layer[0] == kind])
        ax.plot(*points.T, marker, color=color, markersize=6, alpha=0.8, linestyle="none", label=kind)
    ax.set(xscale="log", yscale="log", xlabel="multiply-adds for each number read or written",
           ylabel="multiply-adds a nanosecond")
    ax.set_xticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    ax.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    ax.minorticks_off()
    ax.legend(loc="lower right", labelcolor=INK)
    heading(figure, "A layer that uses each number seldom multiplies slowly")
    return figure
