"""Where a prediction's multiply-adds, parameters, memory and time sit: the four do not go together."""

import numpy as np

from .style import CURVE, MUTED, SMALL, panels, say_nothing, styled

PANELS = {"multiply_adds": ("Multiply-adds", 1e6, "million"), "parameters": ("Parameters", 1e3, "thousand"),
          "activation_bytes": ("Activations", 1e6, "MB"), "milliseconds": ("Time", 1, "ms")}


@styled
def cost_bars(cost):
    """Draw what the stages of a prediction cost.

    Parameters
    ----------
    cost : Cost
        Of `npmaskrcnn.cost`.

    Returns
    -------
    figure : matplotlib Figure
        One panel for each quantity, a bar for each stage with its share of the whole. The dark part of the time is
        spent in layers, the light one between them.
    """
    figure, axes = panels(1, len(PANELS), 2.6, 2.6)
    names, places = [stage.name for stage in cost.stages], np.arange(len(cost.stages))[::-1]
    for i, (ax, (name, (title, unit, unit_name))) in enumerate(zip(axes.flat, PANELS.items())):
        values = np.array([getattr(stage, name) for stage in cost.stages]) / unit
        is_time = name == "milliseconds"
        ax.barh(places, values, color=MUTED if is_time else CURVE, alpha=0.45 if is_time else 1)
        if is_time:
            in_layers = [sum(share.milliseconds for share in cost.layers if share.stage == stage) for stage in names]
            ax.barh(places, in_layers, color=CURVE)
        for place, value in zip(places, values):
            share = 100 * value / values.sum() if values.sum() else 0
            ax.text(value, place, f" {share:.0f} %", va="center", fontsize=SMALL)
        ax.set(title=f"{title}: {values.sum():,.4g} {unit_name}", xlabel=unit_name, yticks=places,
               xlim=(0, 1.3 * max(values.max(initial=0), 1e-9)), yticklabels=names if i == 0 else [])
        if not values.any():
            say_nothing(ax, "nothing")
    largest = {name: max(cost.stages, key=lambda stage: getattr(stage, name)).name for name in PANELS}
    figure.set_label(f"Four panels of bars, one bar for each of {len(names)} stages: most multiply-adds are in the "
                     f"{largest['multiply_adds']}, most parameters in the {largest['parameters']}, most activations in "
                     f"the {largest['activation_bytes']}, most time in the {largest['milliseconds']}.")
    return figure
