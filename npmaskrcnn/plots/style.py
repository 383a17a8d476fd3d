"""How every figure looks: one palette, one text size, one way to draw an image and a box.

A color always means the same thing. Classes take the Okabe-Ito colors, which people with any kind of
color vision can tell apart, by their label: label 1 is orange in every figure. Levels of the pyramid go
from dark (fine) to light (coarse). Positive is green, negative is vermilion, ignored is gray. Solid lines
are what the model says, dashed lines are what a person drew. (Where a figure has no classes, their
colors tell curves apart.)

Figures are plain `matplotlib.figure.Figure` objects: pyplot is never imported, so nothing is shown,
kept alive or configured behind the caller's back. In Jupyter a figure shows itself, with its
alternative text (`figure.get_label()`) beside the picture.
"""

import gc
import io
import math
import warnings

import matplotlib
import matplotlib.figure
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from ..files import atomic_writer
from ..interrupt import uninterrupted
from ..words import printable

# Okabe and Ito (2008), "Color universal design", without black; label 1 takes the first.
CLASS_COLORS = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
BACKGROUND_COLOR = "#8C8C8C"
# Tracks of a film by their number: from Kelly (1965), "Twenty-two colors of maximum contrast", the lively ones, in his
# order, in which each stands out from those before; and eight for crowds. They come round again; in a film the number
# tells who is who.
TRACK_COLORS = ("#FFB300", "#803E75", "#FF6800", "#A6BDD7", "#C10020", "#007D34", "#F6768E", "#00538A", "#93AA00",
                "#7F180D", "#00B5AD", "#5B3FD6", "#E6E600", "#593315", "#D63FD6", "#CEA262", "#1A1A5E", "#7CFC7C")
POSITIVE, NEGATIVE, IGNORED = "#009E73", "#D55E00", "#5A5A5A"
GROUND_TRUTH = "#111111"
LEVEL_COLORS = ("#5B1A8B", "#2F6FD0", "#1FA187", "#6CC04A", "#F0B400")   # P2, P3, P4, P5, P6
LEVEL_NAMES = ("P2", "P3", "P4", "P5", "P6")
CURVE = "#274C77"   # of a figure with one curve
INK, MUTED, PAPER = "#1A1A1A", "#5F6368", "#F4F5F7"
DASHED = (0, (4, 2))

SMALL, NORMAL, LARGE = 8, 9, 11   # points; nothing is smaller than SMALL
LONGEST_NAME = 20                 # characters of a class's name that are shown; the rest would push the picture away

STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": NORMAL,
    "axes.titlesize": NORMAL, "axes.titlelocation": "left", "axes.labelsize": NORMAL,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": MUTED, "axes.labelcolor": INK,
    "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "xtick.color": MUTED, "ytick.color": MUTED,
    "text.color": INK, "legend.fontsize": SMALL, "legend.frameon": False, "figure.titlesize": LARGE,
    "figure.dpi": 100, "image.interpolation": "nearest", "figure.facecolor": "white",
}


# Names are data and no formulas: a class may be called a$_$. (Not in `STYLE`, which lessons use for figures of theirs.)
NO_FORMULAS = {"text.parse_math": False, "text.usetex": False}

# A function decorated with it draws under these, and the caller's settings stay as they were.
styled = matplotlib.rc_context({**STYLE, **NO_FORMULAS})


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure that Jupyter can show although pyplot does not know it."""

    def draw(self, renderer):
        with warnings.catch_warnings():     # of each character for which the font has a box only, at each drawing
            warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
            super().draw(renderer)

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue(), {"alt": self.get_label()}


def new_figure(width, height, layout="constrained"):
    """A white figure of `width` x `height` inches, 100 pixels to the inch."""
    figure = Figure(figsize=(round(width, 2), round(height, 2)), layout=layout)   # whole pixels
    FigureCanvasAgg(figure)   # so that text can be measured before the figure is drawn
    return figure


def panels(rows, columns, width, height):
    """A figure and its (rows, columns) array of Axes; `width` and `height` of one panel in inches."""
    figure = new_figure(columns * width, rows * height)
    return figure, figure.subplots(rows, columns, squeeze=False)


def tiles(number, columns, width, height):
    """A figure and a list of `number` Axes, `columns` of them side by side; what is left of the last row is blank."""
    figure, axes = panels(math.ceil(number / columns), columns, width, height)
    for ax in axes.flat[number:]:
        ax.axis("off")
    return figure, axes.flat[:number]


def class_color(label):
    """Color of a class by its label; 0, the background, is gray."""
    return CLASS_COLORS[(int(label) - 1) % len(CLASS_COLORS)] if label > 0 else BACKGROUND_COLOR


def track_color(number):
    """Color of a track by its number."""
    return TRACK_COLORS[int(number) % len(TRACK_COLORS)]


def class_name(label, class_names=None):
    """Name of a class as figures show it, or "class 3" if nobody named it."""
    if class_names is not None and int(label) < len(class_names):
        return printable(class_names[int(label)], LONGEST_NAME)
    return "background" if label == 0 else f"class {int(label)}"


def in_legend(text):
    """A text for a legend; matplotlib leaves those that begin with an underscore out, so one of no width goes ahead."""
    return f"\u200b{text}" if text.startswith("_") else text


def level_color(level):
    """Color of a pyramid level, 0 for P2."""
    return LEVEL_COLORS[min(int(level), len(LEVEL_COLORS) - 1)]


def ink_on(color):
    """Black or white, whichever can be read on `color`."""
    red, green, blue = matplotlib.colors.to_rgb(color)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def as_picture(image):
    """An image as imshow wants it: (H, W, 3) float in 0..1; gray becomes color, alpha is dropped."""
    image = np.asarray(image)
    if image.dtype.kind in "ui":
        image = image / np.iinfo(image.dtype).max
    image = np.atleast_3d(np.clip(image.astype(np.float64), 0, 1))
    return np.repeat(image[..., :1], 3, axis=-1) if image.shape[-1] < 3 else image[..., :3]


def faded(image):
    """An image in pale colors, (H, W, 3): a ground on which colored boxes stand out.

    Colors are kept, only paler: two that differ in hue but not in lightness would be one and the same gray.
    """
    picture = as_picture(image)
    picture = (picture - picture.min()) / max(float(np.ptp(picture)), 1e-6)
    return 0.65 + 0.35 * picture


def show_image(ax, image, size=None, axis_labels=True, **imshow_options):
    """Draw an image or a map so that coordinates are pixels, with whole numbers at pixels' edges.

    Parameters
    ----------
    ax : Axes
    image : (H, W, 3) or (H, W) array
        With three axes a picture; with two a map of numbers, colored by ``cmap``.
    size : (height, width), optional
        What the array spans, in pixels; its own size by default.
    axis_labels : bool
        Ticks and "x (px)", "y (px)"; without them only the picture.
    """
    image = np.asarray(image)
    height, width = image.shape[:2] if size is None else size
    if image.ndim == 3 and not (image.dtype == np.uint8 and image.shape[2] == 3):   # else as it is, in an eighth of
        image = as_picture(image)                                                   # the memory
    artist = ax.imshow(image, extent=(0, width, height, 0), **imshow_options)
    ax.set(xlim=(0, width), ylim=(height, 0))
    if axis_labels:
        ax.set(xlabel="x (px)", ylabel="y (px)")
        ax.locator_params(nbins=5)
    else:
        ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(not axis_labels)
    ax.spines[:].set_linewidth(0.6)
    return artist


def show_mask(ax, probabilities, color, linewidth):
    """Draw one mask (m, m) in a frame, with black for 0 and white for 1."""
    artist = show_image(ax, probabilities, axis_labels=False, cmap="gray", vmin=0, vmax=1)
    ax.spines[:].set_color(color)
    ax.spines[:].set_linewidth(linewidth)
    return artist


def zoom(ax, box, margin=0.0):
    """Show only what lies in `box` of the picture on `ax`, and `margin` of its sides around it."""
    x1, y1, x2, y2 = (float(value) for value in box)
    dx, dy = margin * (x2 - x1), margin * (y2 - y1)
    ax.set(xlim=(x1 - dx, max(x2 + dx, x1 - dx + 1)), ylim=(max(y2 + dy, y1 - dy + 1), y1 - dy))


def draw_boxes(ax, boxes, color=INK, linewidth=1.5, linestyle="solid", alpha=1.0, halo=True):
    """Draw boxes `(N, (x1, y1, x2, y2))` as frames; `color` is one for all or one per box.

    A white halo under each line keeps it visible on any picture.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    if not len(boxes):      # not every matplotlib takes an empty collection
        return
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    if halo:
        ax.add_collection(PolyCollection(corners, facecolors="none", edgecolors="white",
                                         linewidths=linewidth + 1.2, alpha=0.7 * alpha), autolim=False)
    ax.add_collection(PolyCollection(corners, facecolors="none", edgecolors=color, linewidths=linewidth,
                                     linestyles=linestyle, alpha=alpha), autolim=False)


def draw_ranked_boxes(ax, boxes, colors, noun, linewidth=1.5):
    """Draw boxes that come best first, each in its color, with the best on top; say so if there is none."""
    draw_boxes(ax, boxes[::-1], colors[::-1], linewidth, halo=False)
    if not len(boxes):
        say_nothing(ax, f"no {noun}")


def draw_label(ax, x, y, text, color, above=True):
    """A small filled label whose lower (or upper) left corner is at (x, y) in data coordinates."""
    ax.text(x, y, text, fontsize=SMALL, color=ink_on(color), va="bottom" if above else "top", ha="left", clip_on=False,
            zorder=6, bbox={"boxstyle": "square,pad=0.15", "facecolor": color, "edgecolor": "none", "alpha": 0.92})


def say_nothing(ax, text):
    """Say in the middle of an axes that there is nothing to see, and of what."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=NORMAL, color=INK,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": MUTED, "alpha": 0.9}, zorder=7)


def without_content(figure, text, label):
    """The figure with nothing but a text in its middle panel; `label` is its alternative text."""
    for ax in figure.axes:
        ax.axis("off")
    say_nothing(figure.axes[(len(figure.axes) - 1) // 2], text)
    figure.set_label(label)
    return figure


def save_figure(figure, path, dpi=100):
    """Write a figure as PNG, whole or not at all, and free it; `InputError` if the file cannot be written."""
    with atomic_writer(path) as file:
        figure.savefig(file, dpi=dpi, format="png")
    with uninterrupted():   # Python ignores a Ctrl-C that comes while it takes objects away
        figure.clear()
        gc.collect()        # a figure is full of circles, which else wait, images and all, for their turn
