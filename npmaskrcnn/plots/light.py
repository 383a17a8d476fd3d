"""What lighter models are worth: average precision against what is kept, and against time and bytes."""

from .style import CLASS_COLORS, CURVE, INK, MUTED, SMALL, panels, say_nothing, styled

LOWEST, HIGHEST = 0.5, 0.85         # mask AP of the axis; what is lower lies on the bottom line
KINDS = {"weights set to zero": CLASS_COLORS[1], "channels taken out": CLASS_COLORS[2]}
SINGLE = {"float16": ("s", 8, CURVE), "int8 weights": ("^", 5, CURVE), "int8 weights and inputs": ("v", 5, CURVE),
          "full, trained on": ("*", 8, INK), "half the widths, from random weights": ("D", 5, CLASS_COLORS[3]),
          "MobileNetV3's body, from random weights": ("P", 7, CLASS_COLORS[3])}   # marker, its size, color


@styled
def light_models(rows):
    """Draw the measurements of `notebooks/scripts/light.py`.

    Parameters
    ----------
    rows : list of dict
        With ``kind`` (one of `KINDS` or `SINGLE`, or "full"), ``kept`` (share), ``steps`` (of fine-tuning, 0 for
        none), ``segm_AP``, ``bytes``, ``milliseconds`` and, measured in turn with them, ``milliseconds_full`` (of the
        full model).

    Returns
    -------
    figure : matplotlib Figure
        Mask AP, from .5 up, against the share that was kept; against the time of a prediction; against bytes. Lines:
        open, pruned and nothing else; filled, trained on.
    """
    figure, (axes,) = panels(1, 3, 3.4, 3.6)
    columns = {"share kept": lambda row: row["kept"],
               "time, of the full model's": lambda row: row["milliseconds"] / row["milliseconds_full"],
               "MB of the file": lambda row: row["bytes"] / 1e6}
    for ax, (label, value) in zip(axes, columns.items()):
        for kind, color in KINDS.items():
            for trained in (False, True):
                own = sorted((row["kept"], value(row), row["segm_AP"]) for row in rows
                             if row["kind"] == kind and (row["steps"] > 0) == trained)
                ax.plot([x for _, x, _ in own], [max(ap, LOWEST) for *_, ap in own], color=color, marker="o",
                        markersize=4, markerfacecolor=color if trained else "white",
                        linestyle="solid" if trained else "dotted",
                        clip_on=not own,        # an empty line that is not clipped would have no place
                        label=f"{kind}{', trained on' if trained else ''}")
        for row in rows:
            if row["kind"] in SINGLE and ax is not axes[0]:
                marker, size, color = SINGLE[row["kind"]]
                ax.plot(value(row), max(row["segm_AP"], LOWEST), marker, color=color, markersize=size,
                        markerfacecolor="none", clip_on=False, label=row["kind"])
            if row["kind"] == "full":
                ax.axhline(row["segm_AP"], color=MUTED, linewidth=0.8, zorder=0, label="full model")
        ax.set(xlabel=label, ylabel="mask AP" if ax is axes[0] else "", ylim=(LOWEST, HIGHEST))
        ax.set_yticks([0.5, 0.6, 0.7, 0.8], ["< .5", ".6", ".7", ".8"])
        if not rows:
            say_nothing(ax, "no model")
    axes[0].set_title("What is missed")
    axes[1].set_title("What it saves: time (or costs)")
    axes[2].set_title("What it saves: bytes")
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=SMALL)
    figure.set_label(f"Three panels over {len(rows)} models: mask AP, from .5 up, against the share of weights or "
                     "channels that was kept, against the time of a prediction, and against bytes; the gray line is "
                     "the full model's AP.")
    return figure
