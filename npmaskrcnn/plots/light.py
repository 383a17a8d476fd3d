"""What lighter models are worth: average precision against what is kept, and against time and bytes."""

from .style import CLASS_COLORS, CURVE, MUTED, SMALL, panels, say_nothing, styled

KINDS = {"weights set to zero": CLASS_COLORS[1], "channels taken out": CLASS_COLORS[2]}
FEWER_BITS = {"float16": "s", "int8 weights": "^", "int8 weights and inputs": "v"}


@styled
def light_models(rows):
    """Draw the measurements of `notebooks/scripts/light.py`.

    Parameters
    ----------
    rows : list of dict
        With ``kind`` (one of `KINDS` or `FEWER_BITS`, or "full"), ``kept`` (share), ``steps`` (of fine-tuning, 0 for
        none), ``segm_AP``, ``bytes``, ``milliseconds`` and, measured in turn with them, ``milliseconds_full`` (of the
        full model).

    Returns
    -------
    figure : matplotlib Figure
        Mask AP against the share that was kept; against the time of a prediction; against bytes. Open: pruned and
        nothing else; filled: trained on.
    """
    figure, (axes,) = panels(1, 3, 3.4, 3.0)
    columns = {"share kept": lambda row: row["kept"],
               "time, of the full model's": lambda row: row["milliseconds"] / row["milliseconds_full"],
               "MB of the file": lambda row: row["bytes"] / 1e6}
    for ax, (label, value) in zip(axes, columns.items()):
        for kind, color in KINDS.items():
            for trained in (False, True):
                own = sorted((row["kept"], value(row), row["segm_AP"]) for row in rows
                             if row["kind"] == kind and (row["steps"] > 0) == trained)
                ax.plot([x for _, x, _ in own], [ap for *_, ap in own], color=color, marker="o", markersize=4,
                        markerfacecolor=color if trained else "white", linestyle="solid" if trained else "dotted",
                        label=f"{kind}{', trained on' if trained else ''}")
        for row in rows:
            if row["kind"] in FEWER_BITS and ax is not axes[0]:
                ax.plot(value(row), row["segm_AP"], FEWER_BITS[row["kind"]], color=CURVE, markersize=5,
                        label=row["kind"])
            if row["kind"] == "full":
                ax.axhline(row["segm_AP"], color=MUTED, linewidth=0.8, zorder=0)
        ax.set(xlabel=label, ylabel="mask AP" if ax is axes[0] else "", ylim=(-0.02, 1))
        if not rows:
            say_nothing(ax, "no model")
    axes[0].set_title("What is missed")
    axes[1].set_title("What it saves: time")
    axes[2].set_title("What it saves: bytes")
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=SMALL)
    figure.set_label(f"Three panels over {len(rows)} models: mask AP against the share of weights or channels that was "
                     "kept, against the time of a prediction, and against bytes; the gray line is the full model's AP.")
    return figure
