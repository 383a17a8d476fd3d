"""Where is pixel 4? A box, RoIAlign with and without `aligned`, and pasting each have their own answer.

A box has edges, and pixel 4 is the square from 4 to 5. RoIAlign reads numbers at points, and the number of
pixel 4 sits at 4 or at 4.5. Pasting counts whole pixels, the last one included. Each is consistent in
itself; a mask that comes in by one and goes out by another has been moved or grown on the way.
"""

import numpy as np

from ..stages.paste import PADDING, expand_boxes, paste_masks
from .style import CURVE, MUTED, NEGATIVE, panels, styled


@styled
def half_pixels(start=4, stop=10, width=14, mask_side=28, size=9.0):
    """Draw one row of pixels by the four conventions of Mask R-CNN.

    Parameters
    ----------
    start, stop : int
        The object covers the pixels start .. stop - 1; its box goes from start to stop.
    width : int
        Pixels of the row.
    mask_side : int
        Of the small mask that is pasted.
    size : float
        Width of the figure in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    inside = ((np.arange(width) >= start) & (np.arange(width) < stop)).astype(np.float64)
    box = np.array([[start, start, stop, stop]], np.float64)
    low, _, high, _ = expand_boxes(box, 1 + 2 * PADDING / mask_side)[0].astype(int)    # both included
    full = np.ones((1, mask_side, mask_side))
    pasted = paste_masks(full, box, (width, width))[0, (start + stop) // 2]
    x = np.linspace(0, width, 40 * width + 1)
    cells = (x - low) / (high + 1 - low) * (mask_side + 2 * PADDING) - 0.5     # of the padded mask
    stretched = np.interp(cells, np.arange(mask_side + 2 * PADDING), np.pad(full[0, 0], PADDING))
    rows = [(f"boxes: pixel i is the square from i to i + 1; the box goes from {start} to {stop}",
             None, inside, inside[np.minimum(x.astype(int), width - 1)], (start, stop)),
            ("RoIAlign, aligned=False: number i sits at i, and the box's last pixel fades out",
             0.0, inside, np.interp(x, np.arange(width), inside), (start, stop)),
            ("RoIAlign, aligned=True: number i sits at i + 0.5, and both ends are alike",
             0.5, inside, np.interp(x, np.arange(width) + 0.5, inside), (start, stop)),
            (f"pasting: the box grows and is cut to the pixels {low} to {high}, both included, read at i + 0.5",
             0.5, pasted, stretched, (low, high + 1))]
    figure, axes = panels(4, 1, size, 1.1)
    for ax, (title, shift, numbers, line, frame) in zip(axes[:, 0], rows):
        ax.bar(np.arange(width) + 0.5, inside, 1, color="#F7DDA8", label="the object's pixels")
        ax.vlines(range(width + 1), 0, 1, color=MUTED, linewidth=0.5)
        ax.plot(x, line, color=CURVE, linewidth=1.5, label="what is read between them")
        if shift is not None:
            ax.plot(np.arange(width) + shift, numbers, "o", color=CURVE, markersize=5, zorder=4,
                    label="numbers, where they are taken to be")
        ax.plot(np.repeat(frame, 2), [0, 1.25, 1.25, 0], color=NEGATIVE, linewidth=2, label="the box")
        ax.set(xlim=(-0.1, width + 0.1), ylim=(-0.12, 1.35), xticks=range(width + 1), yticks=[0, 1],
               title=title)
    axes[3, 0].set_xlabel("x (px)")
    figure.legend(*axes[3, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.set_label(f"One row of pixels four times, with an object on the pixels {start} to {stop - 1}. With "
                     "aligned=False numbers sit at the pixels' left edges, with aligned=True in the middles; "
                     f"pasting covers the pixels {low} to {high}.")
    return figure
