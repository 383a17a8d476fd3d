"""Draw the losses of twenty training steps, torchvision's and ours: one curve hides the other.

Run: ``python benchmarks/plot_trajectory.py`` (about ten seconds; no torch needed). torchvision's losses are the
stored ones of ``tests/reference/trajectory.npz``; ours are computed now, from the same weights, on the same
images and samples, in float64. Writes ``docs/figures/trajectory.png``.
"""

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.reference import cases, store  # noqa: E402

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#222222"]     # told apart by all eyes


def draw(ours, theirs, names):
    """Return the figure: losses above, absolute differences below."""
    figure = Figure(figsize=(8.5, 6), layout="constrained", dpi=130)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    steps = np.arange(1, len(ours) + 1)
    for our, their, name, color in zip([*ours.T, ours.sum(axis=1)], [*theirs.T, theirs.sum(axis=1)],
                                        [*names, "sum"], COLORS):
        label = name.replace("loss_", "")
        above.plot(steps, their, color=color, alpha=0.35, linewidth=6, solid_capstyle="round")
        above.plot(steps, our, color=color, linewidth=1.2, label=label)
        if name != "sum":
            below.semilogy(steps, np.maximum(np.abs(our - their), 1e-18), color=color, linewidth=1.2)
    above.set_yscale("log")
    above.set_ylabel("loss")
    above.set_title("Twenty steps of SGD: torchvision (broad) and this package (thin)", loc="left",
                    fontsize=11)
    above.legend(ncols=6, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.01))
    below.set_ylabel("absolute difference")
    below.set_xlabel("step")
    below.set_xticks(steps[::2])
    below.text(0.99, 0.68, "objectness: torchvision computes its value in float32", transform=below.transAxes,
               ha="right", fontsize=8, color="#555555")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure


def main():
    """Parse the command line, which has no options, compute and draw."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    stored, meta = store.load("trajectory")
    ours = cases.our_trajectory()
    error = np.abs(ours - stored["losses"]).max(axis=0)
    print("largest difference:", dict(zip(meta["names"], (f"{e:.1e}" for e in error))))
    path = ROOT / "docs" / "figures" / "trajectory.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(ours, stored["losses"],
         meta["names"]).savefig(path, metadata={"Software": f"matplotlib {matplotlib.__version__}"})
    print("wrote", path.relative_to(ROOT))


if __name__ == "__main__":
    main()
