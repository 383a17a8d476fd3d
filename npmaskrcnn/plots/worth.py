"""What parts are worth: average precision of variants of a model as dots, beside that of the model itself.

A dot is one training. Trainings that differ in nothing but their seed lie apart, and so the baseline is a band as well
as a line: from its worst seed to its best. A difference that is smaller than the band says nothing.
"""

import numpy as np

from .curves import GRID
from .style import CLASS_COLORS, CURVE, INK, MUTED, SMALL, new_figure, styled

PANELS = {"mask": "mask AP", "box": "box AP"}
HERE, PAPER = CURVE, CLASS_COLORS[5]
FARTHEST = 0.2      # below the lowest baseline; what is worse stands at the edge, with its number


@styled
def worth(groups, paper=None):
    """Draw mask AP and box AP of variants, in groups that have a baseline each.

    Parameters
    ----------
    groups : dict
        ``{title: {variant: {"mask": (S,) array, "box": (S,) array}}}``, in 0..1, one number for each seed; empty where
        there is none. Of each group, the variant "baseline" is drawn as a line.
    paper : dict, optional
        ``{variant: {"mask": points, "box": points}}``: by how much a paper's result differs from the paper's own
        baseline, 100 points being an average precision of 1. It is drawn at as much from this baseline.

    Returns
    -------
    figure : matplotlib Figure
    """
    rows = [(title, name) for title, variants in groups.items() for name in [None, *variants] if name != "baseline"]
    figure = new_figure(9, 1.3 + 0.21 * len(rows))
    for ax, (kind, label) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items()):
        baselines = {title: np.asarray(group.get("baseline", {}).get(kind, ())) for title, group in groups.items()}
        edge = max(min((line.mean() for line in baselines.values() if len(line)), default=0) - FARTHEST, 0)
        for y, (title, name) in enumerate(rows):
            if name is None:
                _draw_baseline(ax, baselines[title], y, y + sum(group == title for group, _ in rows) - 1)
            else:
                _draw_row(ax, y, np.asarray(groups[title][name][kind]), edge)
                _draw_claim(ax, y, baselines[title], (paper or {}).get(name, {}).get(kind))
        ax.set(title=label[0].upper() + label[1:], xlabel="average precision")
        ax.grid(**GRID)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(rows) - 0.5, -0.5))
    ax.set_yticks(range(len(rows)), [title if name is None else name.replace("_", " ") for title, name in rows])
    for tick, (_, name) in zip(figure.axes[0].get_yticklabels(), rows):
        tick.set(color=INK if name is None else MUTED, fontweight="bold" if name is None else "normal")
    _draw_legend(figure)
    means = [f"{title}: baseline {np.mean(variants['baseline']['mask']):.3f}" for title, variants in groups.items()
             if "baseline" in variants and len(variants["baseline"]["mask"])]
    figure.set_label(f"Dots in two panels, mask AP and box AP of {len(rows) - len(groups)} variants, each beside the "
                     f"line of its baseline. Mask AP {'; '.join(means) or 'of the baseline is unknown'}.")
    return figure


def _draw_baseline(ax, values, first, last):
    """The baseline of a group: a band from the worst seed to the best, and a line at the mean."""
    if len(values):
        ax.fill_betweenx([first - 0.1, last + 0.4], values.min(), values.max(), color=MUTED, alpha=0.2, linewidth=0)
        ax.plot([values.mean()] * 2, [first - 0.1, last + 0.4], color=MUTED, linewidth=1)


def _draw_row(ax, y, values, edge):
    """A dot for each seed on the line of their range, a stroke at the mean."""
    if len(values) and values.min() < edge:
        ax.plot(edge, y, "<", color=HERE, markersize=5)
        ax.annotate(f"{values.mean():.3f}", (edge, y), xytext=(6, 0), textcoords="offset points", va="center",
                    fontsize=SMALL, color=HERE)
    elif len(values):
        ax.plot([values.min(), values.max()], [y, y], color=HERE, linewidth=1, alpha=0.5)
        ax.plot(values, [y] * len(values), "o", color=HERE, markersize=4, alpha=0.7, markeredgewidth=0)
        if len(values) > 1:
            ax.plot(values.mean(), y, "|", color=HERE, markersize=9)


def _draw_claim(ax, y, baseline, points):
    """Where the paper's difference leads from this baseline."""
    if points is not None and len(baseline):
        ax.plot(baseline.mean() + points / 100, y, "D", color=PAPER, markersize=5, markerfacecolor="none")


def _draw_legend(figure):
    """What the marks mean, below the panels."""
    ax = figure.axes[0]
    marks = [ax.plot([], [], "o", color=HERE, markersize=4)[0], ax.plot([], [], "|", color=HERE, markersize=9)[0],
             ax.plot([], [], color=MUTED, linewidth=1)[0],
             ax.plot([], [], "D", color=PAPER, markersize=5, markerfacecolor="none")[0]]
    figure.legend(marks, ["one training", "mean of three", "baseline, mean and range",
                          "the paper's difference, from this baseline"],
                  loc="outside lower center", ncols=4, fontsize=SMALL)
