"""A training that went wrong beside one that went well: losses over each other, what was found when, average precision.

A loss says little by itself; beside the same loss of a healthy run it says whether it is too high, too low or too
restless. But half of all faults do not show there: so the picture, early, later and at the end, and what it is worth.
"""

import numpy as np
from matplotlib.ticker import LogLocator

from ..words import count
from .curves import GRID, LOSS_TITLES
from .instances import draw_instances
from .style import (BACKGROUND_COLOR, INK, MUTED, class_color, class_name, in_legend, new_figure, say_nothing,
                    show_image, styled)

ILL, HEALTHY = "#A01A58", BACKGROUND_COLOR      # no class has them
MOST_TEXTS = 6                                  # at detections in a small picture, over which they would hide it

CURVES = {**{name: title for name, title in LOSS_TITLES.items() if name != "loss_total"},
          "grad_norm": "Gradient norm", "update_ratio_body": "Update / weights, body"}
LOG_SCALE = "grad_norm", "update_ratio_body"
APS = {"bbox_AP": "box AP", "bbox_AP50": "box AP50", "segm_AP": "mask AP", "segm_AP50": "mask AP50"}


@styled
def case_sheet(name, run, healthy, image, target, class_names=None):
    """Draw a training over a healthy one, and for both the same picture at three moments, and average precision.

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
    figure = new_figure(11, 9.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=(3.4, 6.2))
    *axes, legend_ax = upper.subplots(2, 4).flat
    _draw_curves(axes, run, healthy)
    _draw_legend(legend_ax, name, target, class_names)
    grid = lower.add_gridspec(2, 4)
    for row, (whose, one) in enumerate(((name, run), ("healthy", healthy))):
        for column, (step, found) in enumerate(zip(one.steps, one.pictures)):
            ax = lower.add_subplot(grid[row, column])
            _draw_picture(ax, image, target, found, class_names)
            ax.set_title(f"{whose}, step {step}: {count(len(found), 'detection')}")
    _draw_ap(lower.add_subplot(grid[:, 3]), name, run, healthy)
    figure.set_label(f"The losses of {name} over the healthy ones; what it found at steps "
                     f"{', '.join(map(str, run.steps))}, and below, what the healthy one did; AP of both.")
    return figure


def _draw_picture(ax, image, target, found, class_names):
    show_image(ax, image, axis_labels=False)
    draw_instances(ax, target.boxes, target.labels, masks=target.masks, truth=True)
    draw_instances(ax, found.boxes, found.labels, found.scores, found.masks, class_names,
                   text=len(found) <= MOST_TEXTS)
    if not len(found):
        say_nothing(ax, "nothing found")


def _draw_curves(axes, run, healthy):
    for ax, (column, title) in zip(axes, CURVES.items()):
        ax.plot(healthy.log["step"], healthy.log[column], color=HEALTHY, linewidth=2.6)     # to be seen below the other
        ax.plot(run.log["step"], run.log[column], color=ILL, linewidth=1.2)
        ax.set_title(title + " (identical)" * np.array_equal(run.log[column], healthy.log[column]))
        ax.grid(axis="y", **GRID)
        if column in LOG_SCALE:
            ax.set_yscale("log")
            ax.yaxis.set_minor_formatter("")    # its formulas are not set here
        else:
            ax.set_ylim(bottom=0)
        if column == "grad_norm":
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")


def _draw_legend(ax, name, target, class_names):
    for label, color, width in ((in_legend(name), ILL, 1.2), ("healthy", HEALTHY, 2.6)):
        ax.plot([], [], color=color, linewidth=width, label=label)
    for label, color, style in (("detection", INK, "solid"), ("what is there", MUTED, "dashed")):
        ax.plot([], [], color=color, linestyle=style, label=label)
    for label in sorted(set(target.labels.tolist())):
        ax.plot([], [], color=class_color(label), linewidth=4, label=in_legend(class_name(label, class_names)))
    ax.legend(loc="center", ncols=2)
    ax.axis("off")


def _draw_ap(ax, name, run, healthy):
    places = np.arange(len(APS))
    for shift, (label, one, color) in zip((-0.2, 0.2), ((name, run, ILL), ("healthy", healthy, HEALTHY))):
        values = [one.ap[column] for column in APS]
        ax.bar(places + shift, values, 0.38, color=color, label=label)
        for place, value in zip(places + shift, values):
            ax.text(place, value, f"{value:.2f}".lstrip("0") if value else "0", ha="center", va="bottom", fontsize=8)
    ax.set(xticks=places, xticklabels=[words.replace(" ", "\n") for words in APS.values()], ylim=(0, 1.05),
           title=f"on {run.settings['test_images']} test images")
