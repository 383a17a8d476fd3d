"""A training that went wrong beside one that went well: losses over each other, what was found when, average precision.

A loss says little by itself; beside the same loss of a healthy run it says whether it is too high, too low or too
restless. But half of all faults do not show there: so the picture, early, later and at the end, and what it is worth.
"""

import numpy as np
from matplotlib.ticker import LogLocator

from ..words import count
from .curves import GRID, LOSS_TITLES
from .instances import draw_instances
from .style import INK, MUTED, NEGATIVE, new_figure, say_nothing, show_image, styled

CURVES = {**{name: title for name, title in LOSS_TITLES.items() if name != "loss_total"},
          "grad_norm": "Gradient norm", "update_ratio_body": "Update / weights, body"}
LOG_SCALE = "grad_norm", "update_ratio_body"
APS = {"bbox_AP": "box AP", "bbox_AP50": "box AP50", "segm_AP": "mask AP", "segm_AP50": "mask AP50"}


@styled
def case_sheet(name, run, healthy, image, target, class_names=None):
    """Draw a training beside a healthy one, with the same picture at three moments.

    Parameters
    ----------
    name : str
    run, healthy : Run
        With ``.log`` (columns as `loss_curves` takes them), ``.steps``, ``.pictures`` (`Detections`) and ``.ap``.
    image : (H, W, 3) array
        Which the pictures show.
    target : Target
        What there is in it, drawn dashed.
    class_names : list of str, optional
        With "background" first.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = new_figure(11, 6.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1))
    _draw_curves(upper.subplots(2, 4).flat, name, run, healthy)
    *pictures, ap_ax = lower.subplots(1, 4)
    for ax, step, found in zip(pictures, run.steps, run.pictures):
        show_image(ax, image, axis_labels=False)
        draw_instances(ax, target.boxes, target.labels, masks=target.masks, truth=True)
        draw_instances(ax, found.boxes, found.labels, found.scores, found.masks, class_names, text=True)
        if not len(found):
            say_nothing(ax, "nothing found")
        ax.set_title(f"step {step}: {count(len(found), 'object')} found")
    _draw_ap(ap_ax, name, run, healthy)
    figure.set_label(f"The losses of {name} over the healthy ones, what was found at steps "
                     f"{', '.join(map(str, run.steps))}, and average precision beside the healthy one.")
    return figure


def _draw_curves(axes, name, run, healthy):
    axes = list(axes)
    for ax, (column, title) in zip(axes, CURVES.items()):
        ax.plot(healthy.log["step"], healthy.log[column], color=MUTED, linewidth=1)
        ax.plot(run.log["step"], run.log[column], color=NEGATIVE, linewidth=1.3)
        ax.set_title(title)
        ax.grid(axis="y", **GRID)
        if column in LOG_SCALE:
            ax.set_yscale("log")
            ax.yaxis.set_minor_formatter("")    # its formulas are not set here
        else:
            ax.set_ylim(bottom=0)
        if column == "grad_norm":
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
    for label, color in ((name, NEGATIVE), ("healthy", MUTED)):
        axes[-1].plot([], [], color=color, label=label)
    for label, color, style in (("found", INK, "solid"), ("there", MUTED, "dashed")):
        axes[-1].plot([], [], color=color, linestyle=style, label=label)
    axes[-1].legend(loc="center")
    axes[-1].axis("off")


def _draw_ap(ax, name, run, healthy):
    places = np.arange(len(APS))
    for shift, (label, one, color) in zip((-0.2, 0.2), ((name, run, NEGATIVE), ("healthy", healthy, MUTED))):
        values = [one.ap[column] for column in APS]
        ax.bar(places + shift, values, 0.38, color=color, label=label)
        for place, value in zip(places + shift, values):
            ax.text(place, value, f"{value:.2f}".lstrip("0") if value else "0", ha="center", va="bottom", fontsize=8)
    ax.set(xticks=places, xticklabels=[words.replace(" ", "\n") for words in APS.values()], ylim=(0, 1.05),
           title=f"worth, on {run.settings['test_images']} test images")
