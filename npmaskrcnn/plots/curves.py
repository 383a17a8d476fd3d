"""Curves: how the losses fell, how large the gradients were, and what the result is worth.

A loss says little by itself; beside the loss of a model that knows nothing it says a lot. So each curve
carries its chance level: ln 2 = 0.69 for a yes-or-no question (objectness, each pixel of a mask), ln K
for a choice among K classes. A curve that stays at chance has learnt nothing yet.
"""

import math

import numpy as np
from matplotlib.ticker import LogFormatter

from npmaskrcnn.plots.style import (CLASS_COLORS, CURVE, INK, MUTED, SMALL, class_color, class_name, panels,
                                    say_nothing, styled)

IOU_THRESHOLDS = np.arange(50, 100, 5) / 100   # COCO's ten

LOSS_TITLES = {
    "loss_total": "Total loss", "loss_objectness": "RPN: object or not?",
    "loss_rpn_box_reg": "RPN: box offsets",
    "loss_classifier": "Head: which class?", "loss_box_reg": "Head: box offsets",
    "loss_mask": "Head: mask pixels",
}


@styled
def loss_curves(log, num_classes=4, validation=None):
    """Draw the five losses, their sum, the gradient norm and the validation AP (or the learning rate).

    Parameters
    ----------
    log : mapping of str to (S,) array
        Columns ``step``, ``loss_total``, ``loss_classifier``, ``loss_box_reg``, ``loss_mask``,
        ``loss_objectness``, ``loss_rpn_box_reg``, ``grad_norm``, ``learning_rate``; what is missing
        stays empty.
    num_classes : int
        K, background included: the classifier's chance level is ln K.
    validation : mapping of str to (V,) array, optional
        ``step`` and any number of curves, for example ``box AP`` and ``mask AP``, in 0..1.

    Returns
    -------
    figure : matplotlib Figure
    """
    chance = {"loss_objectness": ("ln 2", math.log(2)), "loss_mask": ("ln 2", math.log(2)),
              "loss_classifier": (f"ln {num_classes}", math.log(num_classes))}
    figure, axes = panels(2, 4, 3.1, 2.5)
    step = _column(log, "step")
    for ax, name in zip(axes.ravel(), LOSS_TITLES):
        _curve(ax, step, _column(log, name), CURVE, name)
        _end_at_zero(ax, _column(log, name), *chance.get(name, (None, 0)))
        ax.set_title(LOSS_TITLES[name])
        ax.set_ylabel("loss" + (" (nats)" if name in chance else ""))
    norm_ax, last_ax = axes[1, 2:]
    _curve(norm_ax, step, _column(log, "grad_norm"), CURVE, "gradient norm", log=True)
    norm_ax.set(title="Gradient norm", ylabel="norm, all parameters")
    norm_ax.yaxis.set_major_formatter("{x:g}")
    norm_ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))     # 2, 3, 4, 6, not 2x10^0
    if validation is not None:
        _validation(last_ax, validation)
    else:
        rate = _column(log, "learning_rate")
        last_ax.plot(step[:len(rate)], rate, color=MUTED)
        last_ax.set(title="Learning rate", ylabel="learning rate")
        last_ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    for ax in axes.ravel():
        ax.set_xlabel("step")
        ax.grid(axis="y", color="#E5E7EB", linewidth=0.6)
    total = _column(log, "loss_total")
    path = f", the total from {total[0]:.2f} to {smooth(total)[-1]:.2f}" if len(total) else ""
    figure.set_label(f"Eight panels over {len(step)} training steps: the five losses and their sum{path}, "
                     f"gradient norm and {'learning rate' if validation is None else 'validation AP'}.")
    return figure


@styled
def gradient_curves(log):
    """Draw, part by part of the model, the gradient's norm and how far a step moves the weights.

    Parameters
    ----------
    log : mapping of str to (S,) array
        ``step`` and columns that begin with ``grad_norm_`` and ``update_ratio_``, one per part.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure, axes = panels(1, 2, 5, 3.4)
    step = _column(log, "step")
    names = list(getattr(log, "dtype", None).names if getattr(log, "dtype", None) is not None else log)
    parts = []
    for ax, prefix, title, ylabel in (
            (axes[0, 0], "grad_norm_", "Gradient norm of each part", "norm"),
            (axes[0, 1], "update_ratio_", "How far one step moves each part", "|update| / |weights|")):
        parts = [name for name in names if name.startswith(prefix)]
        for i, name in enumerate(parts):
            values = _column(log, name)
            color = CLASS_COLORS[i % len(CLASS_COLORS)]
            _curve(ax, step, values, color, name[len(prefix):].replace("_", " "), log=True)
        if not parts:
            say_nothing(ax, f"no column {prefix}*")
        elif prefix == "update_ratio_":
            ax.axhline(1e-3, color=MUTED, linestyle="dotted", linewidth=1)
            ax.annotate("0.001, the usual rule of thumb", (0.08, 1e-3), xycoords=("axes fraction", "data"), va="top",
                        xytext=(0, -2), textcoords="offset points", fontsize=SMALL, color=MUTED)
        if parts:
            ax.legend(loc="best", ncols=2)
        ax.set(title=title, ylabel=ylabel, xlabel="step")
    figure.set_label(f"Two panels over {len(step)} training steps on a logarithmic axis: gradient norm and "
                     f"update-to-weight ratio of {len(parts)} parts of the model.")
    return figure


@styled
def precision_recall(part, class_names=None, area=0, max_detections=-1, title=None):
    """Draw precision against recall at COCO's ten IoU thresholds, and AP against the threshold.

    Parameters
    ----------
    part : object with ``.precision``, or (T, R, K, A, M) array
        ``Evaluation.bbox`` or ``Evaluation.segm``. Axes as in pycocotools: IoU thresholds .50:.05:.95,
        recall levels 0..1, classes without background, area ranges, detection limits; -1 where there is
        no ground truth.
    class_names : list of str, optional
        With "background" first; by default those that `part` brings.
    area, max_detections : int
        Rows of the A and M axes; by default all areas and the highest limit.
    title : str, optional

    Returns
    -------
    figure : matplotlib Figure
    """
    if class_names is None and hasattr(part, "class_names"):
        class_names = ["background", *part.class_names]
    precision = np.asarray(getattr(part, "precision", part), np.float64)[:, :, :, area, max_detections]
    present = np.flatnonzero((precision >= 0).any(axis=(0, 1)))   # classes that have ground truth
    figure, axes = panels(1, 2, 5.8, 3.7)
    curves_ax, ap_ax = axes[0]
    beside = dict(title_fontsize=SMALL, loc="upper left", bbox_to_anchor=(1.01, 1))     # curves may be anywhere inside
    thresholds = IOU_THRESHOLDS if len(precision) == 10 else np.linspace(0.5, 0.95, len(precision))
    curves_ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03),
                  title="Precision against recall, mean of the classes")
    ap_ax.set(xlabel="IoU threshold", ylabel="AP", xlim=(thresholds[0], thresholds[-1]), ylim=(0, 1.03),
              title="The stricter the overlap, the lower the AP")
    if not len(present):
        say_nothing(curves_ax, "no ground truth")
        say_nothing(ap_ax, "no ground truth")
        figure.set_label("Precision and recall: there is no ground truth to count.")
        return figure
    recall = np.linspace(0, 1, precision.shape[1])
    mean_curve = precision[:, :, present].mean(axis=2)                      # (T, R)
    for i in reversed(range(len(thresholds))):
        shade = i / max(len(thresholds) - 1, 1)
        curves_ax.plot(recall, mean_curve[i], color=_shade(shade), linewidth=2 if i == 0 else 1.2,
                       label=f"{thresholds[i]:.2f}   {mean_curve[i].mean():.3f}")
    curves_ax.legend(title="IoU    AP", handlelength=1.2, **beside)
    ap = precision[:, :, present].mean(axis=1)                              # (T, classes present)
    for column, k in enumerate(present[:len(CLASS_COLORS)]):
        ap_ax.plot(thresholds, ap[:, column], color=class_color(k + 1), marker="o", markersize=3,
                   label=f"{class_name(k + 1, class_names)}   {ap[:, column].mean():.3f}")
    ap_ax.plot(thresholds, ap.mean(axis=1), color=INK, linewidth=2, linestyle="dashed",
               label=f"mean of {len(present)}   {ap.mean():.3f}")
    ap_ax.legend(title="class   AP", **beside)
    for ax in (curves_ax, ap_ax):
        ax.grid(color="#E5E7EB", linewidth=0.6)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.set_label(f"Precision-recall curves at {len(thresholds)} IoU thresholds and AP by threshold for "
                     f"{len(present)} classes; AP {ap.mean():.3f}, AP at IoU 0.5 {ap[0].mean():.3f}.")
    return figure


def smooth(values, span=None):
    """Exponential moving average, corrected for its start; `span` is about how many steps it looks back."""
    values = np.asarray(values, np.float64)
    keep = 1 - 2 / (1 + (span or max(len(values) / 40, 3)))
    smoothed, weight, total = np.empty_like(values), 0.0, 0.0
    for i, value in enumerate(values):
        if math.isfinite(value):
            total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        smoothed[i] = total / weight if weight else math.nan
    return smoothed


def _column(log, name):
    """A column as float, empty if the log lacks it."""
    names = log.dtype.names if getattr(log, "dtype", None) is not None else log
    return np.asarray(log[name], np.float64).ravel() if name in names else np.zeros(0)


def _curve(ax, step, values, color, name, log=False):
    """Raw values faint, smoothed values strong."""
    step = step[:len(values)] if len(step) else np.arange(len(values))
    if not len(values):
        say_nothing(ax, f"no {name.removeprefix('loss_')} logged")
        return
    if log:
        ax.set_yscale("log")
        values = np.where(values > 0, values, np.nan)
    ax.plot(step, values, color=color, alpha=0.25, linewidth=0.7)
    ax.plot(step, smooth(values), color=color, linewidth=1.8, label=name)


def _end_at_zero(ax, values, chance_name=None, chance=0.0):
    """Axis from zero to what matters: a first spike may leave the picture, chance and the strong curve may not."""
    finite = values[np.isfinite(values)]
    late = smooth(finite)[len(finite) // 40:]
    top = max(np.percentile(finite, 97) if len(finite) else 1, late.max(initial=0), chance * 1.25, 1e-6)
    ax.set_ylim(0, top * 1.05)
    if chance_name:
        ax.axhline(chance, color=MUTED, linestyle="dotted", linewidth=1.2)
        ax.annotate(f"chance, {chance_name} = {chance:.2f}", (1, chance), xycoords=("axes fraction", "data"),
                    xytext=(-2, 2), textcoords="offset points", ha="right", fontsize=SMALL, color=MUTED)


def _validation(ax, validation):
    """AP points, joined; the legend says the last one."""
    names = [name for name in validation if name != "step"]
    for name, color in zip(names, CLASS_COLORS):
        values = _column(validation, name)
        ax.plot(_column(validation, "step"), values, color=color, marker="o", markersize=4,
                label=f"{name}  {values[-1]:.3f}" if len(values) else name)
    ax.set(title="Validation", ylabel="AP", ylim=(0, 1))
    ax.legend(loc="lower right")


def _shade(fraction):
    """From blue (loose) to orange (strict) through grey-green: ordered, and readable on white."""
    low, high = np.array([0, 0.45, 0.70]), np.array([0.90, 0.62, 0])
    return tuple(low + fraction * (high - low))
