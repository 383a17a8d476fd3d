"""Curves: how the losses fell, how large the gradients were, and what the result is worth.

A loss says little by itself; beside the loss of a model that knows nothing it says a lot. So each curve
carries its chance level: ln 2 = 0.69 for a yes-or-no question (objectness, each pixel of a mask), ln K
for a choice among K classes. A curve that stays at chance has learned nothing yet.
"""

import math

import numpy as np
from matplotlib.ticker import LogFormatter

from ..evaluation.curves import RECALL_POINTS
from ..evaluation.figures import IOU_THRESHOLDS
from .style import (CLASS_COLORS, CURVE, INK, MUTED, SMALL, class_color, class_name, in_legend, panels, say_nothing,
                    styled, tiles)

GRID = {"color": "#E5E7EB", "linewidth": 0.6}
LOSS_TITLES = {
    "loss_total": "Total loss", "loss_objectness": "RPN: object or not?", "loss_rpn_box_reg": "RPN: box offsets",
    "loss_classifier": "Head: which class?", "loss_box_reg": "Head: box offsets", "loss_mask": "Head: mask pixels",
}


@styled
def loss_curves(log, num_classes=4, validation=None):
    """Draw the losses, their sum, the gradient norm and the validation AP (or the learning rate).

    Parameters
    ----------
    log : mapping of str to (S,) array
        Columns ``step``, ``loss_total``, ``loss_classifier``, ``loss_box_reg``, ``loss_mask``,
        ``loss_objectness``, ``loss_rpn_box_reg``, ``grad_norm``, ``learning_rate``; what is missing
        stays empty, but without ``loss_mask`` (of a model without a mask branch) there is no such panel.
    num_classes : int
        K, background included: the classifier's chance level is ln K.
    validation : mapping of str to (V,) array, optional
        ``step`` and any number of curves, for example ``box AP`` and ``mask AP``, in 0..1.

    Returns
    -------
    figure : matplotlib Figure
    """
    choices = {"loss_objectness": 2, "loss_mask": 2, "loss_classifier": num_classes}
    titles = {name: title for name, title in LOSS_TITLES.items() if name != "loss_mask" or name in _names(log)}
    figure, axes = tiles(len(titles) + 2, 4, 3.1, 2.5)
    *loss_axes, norm_ax, last_ax = axes
    for ax, (name, title) in zip(loss_axes, titles.items()):
        _curve(ax, log, name, name.removeprefix("loss_"))
        _end_at_zero(ax, _column(log, name), choices.get(name, 1))
        ax.set(title=title, ylabel="loss (nats)" if name in choices else "loss")
    _curve(norm_ax, log, "grad_norm", "gradient norm", yscale="log")
    norm_ax.set(title="Gradient norm", ylabel="norm, all parameters")
    step = _column(log, "step")
    if validation is not None:
        _validation(last_ax, validation)
    else:
        rate = _column(log, "learning_rate")
        last_ax.plot(step[:len(rate)], rate, color=MUTED)
        last_ax.set(title="Learning rate", ylabel="learning rate")
        last_ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    for ax in axes:
        ax.set_xlabel("step")
        ax.grid(axis="y", **GRID)
    total = _column(log, "loss_total")
    path = f", the total from {total[0]:.2f} to {smooth(total)[-1]:.2f}" if len(total) else ""
    panes, number = ("Eight", "five") if "loss_mask" in titles else ("Seven", "four")
    figure.set_label(f"{panes} panels over {len(step)} training steps: the {number} losses and their sum{path}, "
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
    axes[0, 0].set(title="Gradient norm of each part", ylabel="norm", xlabel="step")
    axes[0, 1].set(title="How far one step moves each part", ylabel="|update| / |weights|", xlabel="step")
    for ax, prefix in zip(axes[0], ("grad_norm_", "update_ratio_")):
        parts = [name for name in _names(log) if name.startswith(prefix)]
        for i, name in enumerate(parts):
            label, color = name.removeprefix(prefix).replace("_", " "), CLASS_COLORS[i % len(CLASS_COLORS)]
            _curve(ax, log, name, label, color, yscale="log")
        if parts:
            ax.legend(loc="best", ncols=2)
        else:
            say_nothing(ax, f"no column {prefix}*")
    if parts:
        ax.axhline(1e-3, color=MUTED, linestyle="dotted", linewidth=1)
        ax.annotate("0.001, the usual rule of thumb", (0.08, 1e-3), xycoords=("axes fraction", "data"), va="top",
                    xytext=(0, -2), textcoords="offset points", fontsize=SMALL, color=MUTED)
    figure.set_label(f"Two panels over {len(_column(log, 'step'))} training steps on a logarithmic axis: gradient norm "
                     f"and update-to-weight ratio of {len(parts)} parts of the model.")
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
    curves_ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03),
                  title="Precision against recall, mean of the classes")
    ap_ax.set(xlabel="IoU threshold", ylabel="AP", xlim=(IOU_THRESHOLDS[0], IOU_THRESHOLDS[-1]), ylim=(0, 1.03),
              title="The stricter the overlap, the lower the AP")
    if not len(present):
        say_nothing(curves_ax, "no ground truth")
        say_nothing(ap_ax, "no ground truth")
        figure.set_label("Precision and recall: there is no ground truth to count.")
        return figure
    mean_curve = precision[:, :, present].mean(axis=2)                      # (T, R)
    shades = np.linspace((0, 0.45, 0.70), (0.90, 0.62, 0), len(IOU_THRESHOLDS))     # blue (loose) to orange (strict)
    for i in reversed(range(len(IOU_THRESHOLDS))):
        curves_ax.plot(RECALL_POINTS, mean_curve[i], color=shades[i], linewidth=2 if i == 0 else 1.2,
                       label=f"{IOU_THRESHOLDS[i]:.2f}   {mean_curve[i].mean():.3f}")
    ap = precision[:, :, present].mean(axis=1)                              # (T, classes present)
    for column, k in enumerate(present[:len(CLASS_COLORS)]):
        ap_ax.plot(IOU_THRESHOLDS, ap[:, column], color=class_color(k + 1), marker="o", markersize=3,
                   label=in_legend(f"{class_name(k + 1, class_names)}   {ap[:, column].mean():.3f}"))
    ap_ax.plot(IOU_THRESHOLDS, ap.mean(axis=1), color=INK, linewidth=2, linestyle="dashed",
               label=f"mean of {len(present)}   {ap.mean():.3f}")
    for ax, heading, dash in ((curves_ax, "IoU    AP", 1.2), (ap_ax, "class   AP", 2)):
        ax.grid(**GRID)     # the legend lies beside the axes, as curves may be anywhere inside
        ax.legend(title=heading, title_fontsize=SMALL, handlelength=dash, loc="upper left", bbox_to_anchor=(1.01, 1))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.set_label(f"Precision-recall curves at {len(IOU_THRESHOLDS)} IoU thresholds and AP by threshold for "
                     f"{len(present)} classes; AP {ap.mean():.3f}, AP at IoU 0.5 {ap[0].mean():.3f}.")
    return figure


def smooth(values):
    """Exponential moving average, corrected for its start, which looks back over about a fortieth of all steps."""
    values = np.asarray(values, np.float64)
    keep = 1 - 2 / (1 + max(len(values) / 40, 3))
    smoothed, weight, total = np.empty_like(values), 0.0, 0.0
    for i, value in enumerate(values):
        if math.isfinite(value):
            total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        smoothed[i] = total / weight if weight else math.nan
    return smoothed


def _names(log):
    """Names of the columns of a mapping or of a structured array."""
    return getattr(getattr(log, "dtype", None), "names", log)


def _column(log, name):
    """A column as float, empty if the log lacks it."""
    return np.asarray(log[name], np.float64).ravel() if name in _names(log) else np.zeros(0)


def _curve(ax, log, column, label, color=CURVE, yscale="linear"):
    """Raw values faint, smoothed values strong; on a logarithmic axis zeros are left out."""
    step, values = _column(log, "step"), _column(log, column)
    if not len(values):
        say_nothing(ax, f"no {label} logged")
        return
    if yscale == "log":
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")       # plain numbers: in these figures no text is a formula
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))     # 2, 3, 4, 6, not 2x10^0
        values = np.where(values > 0, values, np.nan)
    step = step[:len(values)] if len(step) else np.arange(len(values))
    ax.plot(step, values, color=color, alpha=0.25, linewidth=0.7)
    ax.plot(step, smooth(values), color=color, linewidth=1.8, label=label)


def _end_at_zero(ax, values, choices):
    """Axis from zero to what matters: a first spike may leave the picture, chance and the strong curve may not."""
    chance = math.log(choices)      # the loss of who knows nothing; zero where there is no choice
    finite = values[np.isfinite(values)]
    late = smooth(finite)[len(finite) // 40:]
    top = max(np.percentile(finite, 97) if len(finite) else 1, late.max(initial=0), chance * 1.25, 1e-6)
    ax.set_ylim(0, top * 1.05)
    if chance:
        ax.axhline(chance, color=MUTED, linestyle="dotted", linewidth=1.2)
        ax.annotate(f"chance, ln {choices} = {chance:.2f}", (1, chance), xycoords=("axes fraction", "data"),
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
