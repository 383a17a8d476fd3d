"""Figures of lesson 03: the grids of the four maps on the image, what depth does to a plain and to a residual stack,
the block with its fork and its join, and a channel before and after its batch norm. The plain stack is gray and dashed,
the residual one dark blue; what runs backward is vermilion.
"""

import numpy as np
from matplotlib.patches import FancyBboxPatch

from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.style import CURVE, INK, MUTED, NEGATIVE, SMALL, draw_boxes, new_figure, panels, show_image

LOOKS = {"plain": {"color": MUTED, "linestyle": "dashed", "marker": "s"},
         "residual": {"color": CURVE, "linestyle": "solid", "marker": "o"}}
SHOWN_RATE = 0.02


def four_maps(image, maps, cell):
    """The image under the grids of C2 to C5, with the cell of each that lies under `cell` (row, column) of C2."""
    figure, axes = panels(1, 4, width=2.25, height=2.15)
    for level, (ax, features) in enumerate(zip(axes[0], maps)):
        rows, columns, channels = features.shape[-3:]
        stride, row, column = image.shape[0] // rows, cell[0] >> level, cell[1] >> level
        show_image(ax, image, axis_labels=False)
        ax.vlines(np.arange(1, columns) * stride, 0, image.shape[0], color="white", linewidth=0.5, alpha=0.7)
        ax.hlines(np.arange(1, rows) * stride, 0, image.shape[1], color="white", linewidth=0.5, alpha=0.7)
        draw_boxes(ax, [[column * stride, row * stride, (column + 1) * stride, (row + 1) * stride]], INK, 2)
        ax.set_title(f"C{level + 2}: {rows} x {columns} cells of {channels}\nrow {row}, column {column}")
    heading(figure, "Four grids on one image, and the triangle's cell in each")
    return figure


def better(runs, kind, depth):
    """The three seeds' runs with that learning rate whose mean training loss is lower."""
    chosen = [run for run in runs if (run["kind"], run["depth"], run["times"]) == (kind, depth, 1)]
    rates = [[run for run in chosen if run["rate"] == rate] for rate in sorted({run["rate"] for run in chosen})]
    return min(rates, key=lambda three: np.mean([run["loss"] for run in three]))


def by_depth(runs):
    """Training loss and right answers on new crops against the number of convolutions."""
    depths = sorted({run["depth"] for run in runs})
    figure, axes = panels(1, 2, width=4.4, height=3.1)
    for ax, name in zip(axes[0], ("loss", "test_accuracy")):
        values = {kind: np.array([[run[name] for run in better(runs, kind, depth)] for depth in depths])
                  for kind in LOOKS}
        plain_is_higher = values["plain"].mean(axis=1) > values["residual"].mean(axis=1)
        for (kind, look), aside in zip(LOOKS.items(), (0.95, 1.05)):
            means, places = values[kind].mean(axis=1), np.array(depths) * aside
            ax.plot(places, means, label=kind, markersize=5, **look)
            ax.plot(places, values[kind], ".", color=look["color"], markersize=3)
            for place, three, mean, is_above in zip(places, values[kind], means, plain_is_higher == (kind == "plain")):
                ax.annotate(f"{mean:.2f}", (place, max(three) if is_above else min(three)), (0, 5 if is_above else -14),
                            ha="center", textcoords="offset points", fontsize=SMALL, color=look["color"],
                            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        ax.set_xscale("log", base=2)
        ax.set(xlabel="3x3 convolutions in the stack", xticks=depths, xticklabels=depths)
    for ax, chance in zip(axes[0], (np.log(3), 1 / 3)):
        ax.axhline(chance, color=MUTED, linewidth=0.8, linestyle="dotted", zorder=0)
        ax.annotate("guessing", (5, chance), (0, 3), textcoords="offset points", fontsize=SMALL, color=MUTED)
    axes[0, 0].set(title="Training loss", ylim=(-0.15, 1.3))
    axes[0, 1].set(title="Share of right answers on new crops", ylim=(0.2, 1.12))
    axes[0, 0].legend(loc="lower left", handlelength=3)
    return figure


def training(runs, depth):
    """The losses of three seeds, and the length of the gradient on its way down at the first step."""
    figure, axes = panels(1, 2, width=4.2, height=2.8)
    most = 0
    for kind, look in LOOKS.items():
        chosen = [run for run in runs if (run["kind"], run["rate"], run["times"]) == (kind, SHOWN_RATE, 1)]
        most = max(most, *(run["gradient_first"][-1] / run["gradient_first"][0] for run in chosen))
        for i, run in enumerate(run for run in chosen if run["depth"] == depth):
            name = kind if i == 0 else None
            steps = (np.arange(len(run["losses"])) + 0.5) * 250 / len(run["losses"])
            axes[0, 0].plot(steps, run["losses"], label=name, color=look["color"], linestyle=look["linestyle"])
            lengths = np.array(run["gradient_first"]) / run["gradient_first"][0]
            axes[0, 1].semilogy(2 * np.arange(len(lengths)), lengths, label=name, markersize=3, **look)
    axes[0, 0].set(title=f"{depth} convolutions: training loss, three seeds", xlabel="step", ylim=(0, 1.9))
    axes[0, 1].set(title="Gradient's length at step 1, at the top = 1", ylim=(0.5, 1.5 * most), xlim=(-0.7, 32.7),
                   xlabel="convolutions that it has come back through")
    axes[0, 0].legend(loc="lower left", handlelength=3)
    return figure


def arrow(ax, start, end, color, bend=0.0):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.6,
                                            "connectionstyle": f"arc3,rad={bend}"})


def block():
    """A residual block: forward above, backward below."""
    figure = new_figure(9, 2.8)
    ax = figure.subplots()
    stops, widths = (0, 2.4, 4.8, 7, 8.5, 10), (0.2, 0.9, 0.7, 0.2, 0.35, 0.2)
    for i in range(5):
        left, right = stops[i] + widths[i], stops[i + 1] - widths[i + 1]
        arrow(ax, (left, 0.12), (right, 0.12), INK)
        arrow(ax, (right, -0.12), (left, -0.12), NEGATIVE)
    arrow(ax, (0.1, 0.4), (6.9, 0.4), INK, bend=-0.25)
    arrow(ax, (6.9, -0.4), (0.1, -0.4), NEGATIVE, bend=-0.25)
    for x, text in zip(stops, ("x", "conv, norm, relu", "conv, norm", "+", "relu", "y")):
        ax.text(x, 0, text, ha="center", va="center",
                bbox={"boxstyle": "round,pad=0.45", "facecolor": "#EDEFF2", "edgecolor": MUTED})
    for x, above, below in ((0, "fork", "join: add"), (7, "join: add", "fork: copy"), (10, "", "dy")):
        ax.text(x, 0.7, above, ha="center", va="center")
        ax.text(x, -0.8, below, ha="center", va="center", color=NEGATIVE)
    ax.add_patch(FancyBboxPatch((1.25, -0.32), 4.5, 0.64, boxstyle="round,pad=0.1", facecolor="none", edgecolor=MUTED,
                                linestyle="dotted"))
    ax.text(3.5, 0.5, "F, the path", ha="center", color=MUTED)
    ax.text(3.5, 1.5, "shortcut: x as it is", ha="center")
    ax.text(3.5, -1.6, "dsum as it is", ha="center", va="center", color=NEGATIVE)
    ax.text(8, -0.38, "dsum", ha="center", va="center", color=NEGATIVE, fontsize=SMALL)
    ax.set(xlim=(-0.8, 10.4), ylim=(-1.8, 1.8))
    ax.axis("off")
    heading(figure, "Forward (black) a fork and a join; backward (vermilion) they change places")
    return figure


def norm(before, after, cell):
    """One channel (N, H, W) before and after its norm, with the number of one cell of the first image."""
    figure, axes = panels(1, 2, width=4.4, height=2.7)
    names = "in front of the norm", "behind it, before weight and bias"
    for ax, values, name in zip(axes[0], (before, after), names):
        bins = np.linspace(*np.quantile(values, (0, 1)), 41)
        ax.hist(values.ravel(), bins, color="#C9CED6", label="all four images")
        ax.hist(values[0].ravel(), bins, color=CURVE, histtype="step", linewidth=1.5, label="our image alone")
        ax.axvline(values[0][cell], color=INK, linewidth=1.2)
        ax.annotate(f"triangle's cell: {values[0][cell]:.2f}", (values[0][cell], 1), (-4, -3), ha="right", va="top",
                    xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=SMALL)
        ax.set(title=f"{name}: mean {values.mean():.2f}, variance {values.var():.2f}", ylabel="cells", yticks=[])
        ax.set_ylim(0, 1.25 * ax.get_ylim()[1])
    axes[0, 1].legend(loc="upper left")
    return figure
