"""What the lessons draw with, besides `npmaskrcnn.plots`: the image that they all follow, a figure with its
alternative text, frames with a slider, films, the map at the head of each lesson, and small arrays with their
numbers written in.

Every picture leaves as a PNG with at most 256 colors, which is a third of the usual size and the same
bytes each time. Frames are pictures made beforehand: moving the slider shows another one, and needs a browser that
runs scripts and nothing else; where none run, one sees the telling frame. A film is a PNG too, an animated one, and
plays wherever a browser shows the page. IPython is imported when something is shown, not before, so that the package
can do without it.
"""

import base64
import hashlib
import html
import io
import json

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from PIL import Image, PngImagePlugin

from .datasets.shapes import the_image  # noqa: F401  (lessons find it here)
from .plots.style import INK, LARGE, MUTED, NORMAL, SMALL, STYLE, ink_on, new_figure, styled

HERE, ELSEWHERE = "#E69F00", "#EDEFF2"     # on the map: where this lesson is, and the rest
COLORS = 256                               # of a stored picture


# ---- what all lessons look at ----

THE_OBJECT = 2      # row of the followed object in the target: the triangle


# ---- showing ----


def use_style():
    """Draw this notebook's own figures in the style of `npmaskrcnn.plots`."""
    matplotlib.rcParams.update(STYLE)


def show(figure, alt=None):
    """Show a figure in a notebook, with a description for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib Figure
    alt : str, optional
        The alternative text: one sentence that says what can be seen. ``figure.get_label()`` by default.
    """
    _display(as_png(figure), alt or figure.get_label())


def show_film(figures, alt, seconds=1.0):
    """Show figures of one size one after the other, for ever: an animated PNG.

    Parameters
    ----------
    figures : iterable of matplotlib Figure
    alt : str
    seconds : float
        How long each frame stays; the last one stays three times as long.
    """
    frames = [_pixels(figure) for figure in figures]
    in_few_colors = _in_few_colors(np.concatenate(frames))      # one palette for all frames
    height = len(frames[0])
    frames = [in_few_colors.crop((0, top, in_few_colors.width, top + height))
              for top in range(0, in_few_colors.height, height)]
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [round(3000 * seconds)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="png", save_all=True, append_images=frames[1:], duration=durations, loop=0,
                   pnginfo=_origin())
    _display(buffer.getvalue(), alt)


def show_frames(draw, values, alt, label, still=0, form="{:g}"):
    """Show one figure for each value, with a slider that moves through them on the page, without a kernel.

    Parameters
    ----------
    draw : callable
        ``draw(value)`` returns a matplotlib Figure; all are of one size.
    values : sequence
    alt : str
        What can be seen, and what moving shows.
    label : str
        What the slider moves: "stride".
    still : int
        Which frame is shown first, and alone where scripts do not run.
    form : str
        How a value is written; texts are written as they are.
    """
    values = list(values)
    if not 0 <= still < len(values):
        raise ValueError(f"show_frames: still must be the number of one of {len(values)} frames, got {still!r}")
    frames = [base64.b64encode(as_png(draw(value))).decode() for value in values]
    page = FRAMES.format(
        name="frames-" + hashlib.sha256("".join(frames).encode()).hexdigest()[:12], alt=html.escape(alt), still=still,
        label=html.escape(label), last=len(frames) - 1, first=frames[still],
        others=json.dumps([frame if i != still else "" for i, frame in enumerate(frames)]),
        texts=json.dumps([value if isinstance(value, str) else form.format(value) for value in values]))
    _display(None, alt, {"text/html": page})


# The script waits for the element: Jupyter runs it before the output is on the page.
FRAMES = """<div id="{name}">
<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{first}">
<div hidden><label>{label}: <input type="range" min="0" max="{last}" value="{still}" style="width: 50%"></label>
<output></output></div>
</div>
<script>
(function begin() {{
  const box = document.getElementById("{name}"), others = {others}, texts = {texts};
  if (!box) {{ setTimeout(begin, 100); return; }}
  const slider = box.querySelector("input"), said = box.querySelector("output"), image = box.querySelector("img");
  const first = image.src;
  slider.oninput = function () {{
    const other = others[slider.value];
    image.src = other ? "data:image/png;base64," + other : first;
    said.textContent = texts[slider.value];
    slider.setAttribute("aria-valuetext", texts[slider.value]);
  }};
  box.querySelector("div").hidden = false;
  slider.oninput();
}})();
</script>"""


def as_png(figure):
    """The bytes of a figure's PNG: as many pixels as the figure has, at most 256 colors, no time stamp."""
    buffer = io.BytesIO()
    _in_few_colors(_pixels(figure)).save(buffer, format="png", optimize=True, pnginfo=_origin())
    return buffer.getvalue()


def _origin():
    """Note for the file: another version of matplotlib lays a figure out differently, so compare like with like."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", f"matplotlib {matplotlib.__version__}")
    return info


def _in_few_colors(pixels):
    """An (H, W, 3) uint8 array as a Pillow image with a palette, in which white stays white."""
    image = Image.fromarray(pixels).quantize(COLORS, dither=Image.Dither.NONE)
    palette = np.array(image.getpalette()).reshape(-1, 3)
    palette[(palette >= 250).all(axis=1)] = 255     # quantizing mixes white with the palest grays
    image.putpalette(palette.ravel().tolist())
    return image


def _pixels(figure):
    """A figure as an (H, W, 3) uint8 array."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def _display(png, alt, other=None):
    if not alt:
        raise ValueError("a figure in a lesson needs an alternative text: show(figure, 'what can be seen')")
    try:
        from IPython.display import display
    except ImportError:
        print(f"[figure: {alt}]")
        return
    picture = other or {"image/png": png}
    display({**picture, "text/plain": f"[figure: {alt}]"}, raw=True,
            metadata={} if other else {"image/png": {"alt": alt}})


# ---- the map at the head of each lesson ----

# name -> (text, lessons, x, y, width) of a box, in tenths of an inch of a 9 x 1.7 inch strip, y upwards
_BOXES = {
    "image": ("image", "01", 1, 8, 9),
    "body": ("backbone", "02 to 04", 13, 8, 11),
    "fpn": ("FPN", "05", 27, 8, 8),
    "anchors": ("anchors", "06, 07", 25, 1, 10),
    "rpn": ("RPN", "08", 40, 1, 8),
    "roi_align": ("RoIAlign", "09", 51, 8, 11),
    "box_head": ("box head", "10", 66, 11, 11.5),
    "mask_head": ("mask head", "11", 66, 5, 11.5),
    "result": ("objects", "14", 80.5, 8, 9),
}
_ARROWS = (("image", "body"), ("body", "fpn"), ("fpn", "rpn"), ("anchors", "rpn"), ("rpn", "roi_align"),
           ("fpn", "roi_align"), ("roi_align", "box_head"), ("roi_align", "mask_head"), ("box_head", "result"),
           ("mask_head", "result"))
_ALL, _LEARN = tuple(_BOXES), ("body", "fpn", "rpn", "box_head", "mask_head")
# lesson -> (boxes that it lights, what is said of it where that does not say it)
_LESSONS = {
    "00_map": (_ALL, "all of it; 12 and 13: how it learns, 15 to 19: what one does with it"),
    "01_shapes": (("image",), ""),
    "02_convolution": (("body", "fpn", "rpn", "mask_head"), "02: these are made of convolutions"),
    "03_residual": (("body",), "03: how it can be deep"),
    "04_field": (("body",), "04: what a cell of it sees"),
    "05_pyramid": (("fpn",), ""),
    "06_anchors": (("anchors",), "06: boxes to start from"),
    "07_matching": (("anchors",), "07: which box must find which object"),
    "08_proposals": (("rpn",), ""),
    "09_roi_align": (("roi_align",), ""),
    "10_box_head": (("box_head",), ""),
    "11_mask_head": (("mask_head",), ""),
    "12_losses": (("rpn", "box_head", "mask_head"), "12: the five losses sit here, and gradients flow back"),
    "13_training": (_LEARN, "13: these learn"),
    "14_evaluation": (("result",), "14: how good are they?"),
    "15_clinic": (_LEARN, "15: what can go wrong with any of these"),
    "16_parts": (("body", "fpn", "anchors", "roi_align", "mask_head"), "16: what each is worth"),
    "17_light": (("body", "fpn", "rpn", "box_head", "mask_head"), "17: where time and memory go"),
    "18_real": (("image", "result"), "18: other images, films, and when to take something else"),
    "19_yours": (_ALL, "19: all of it, with your functions in it"),
}
STAGES = tuple(_LESSONS)


@styled
def you_are_here(lesson):
    """Draw the pipeline as a strip, with the part that a lesson is about in orange.

    Parameters
    ----------
    lesson : str
        One of `STAGES`, which are the names of the lessons' files: "09_roi_align".

    Returns
    -------
    figure : matplotlib Figure
        9 x 1.7 inches.
    """
    if lesson not in STAGES:
        raise ValueError(f"you_are_here: no lesson {lesson!r}; there are {', '.join(STAGES)}")
    lit, note = _LESSONS[lesson]
    figure = new_figure(9.1, 1.7, layout=None)
    ax = figure.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, 91), ylim=(0, 17))
    ax.axis("off")
    for start, end in _ARROWS:
        _, _, x1, y1, width = _BOXES[start]
        _, _, x2, y2, _ = _BOXES[end]
        ax.add_patch(FancyArrowPatch((x1 + width, y1 + 2), (x2, y2 + 2), arrowstyle="-|>", mutation_scale=9,
                                     color=MUTED, linewidth=1, shrinkA=1, shrinkB=1))
    for name, (text, numbers, x, y, width) in _BOXES.items():
        color = HERE if name in lit else ELSEWHERE
        ax.add_patch(FancyBboxPatch((x, y), width, 4, boxstyle="round,pad=0,rounding_size=0.8", facecolor=color,
                                    edgecolor=MUTED, linewidth=0.8))
        ax.text(x + width / 2, y + 2, text, ha="center", va="center", fontsize=NORMAL, color=INK,
                fontweight="bold" if name in lit else "normal")
        ax.text(x + width / 2, y + 4.3, numbers, ha="center", va="bottom", fontsize=SMALL, color=MUTED)
    ax.text(1, 16.6, "You are here" + (f"  ({note})" if note else ""), va="top", fontsize=NORMAL, color=INK)
    where = "everywhere" if lit == _ALL else " and ".join(", ".join(_BOXES[name][0] for name in lit).rsplit(", ", 1))
    figure.set_label("The pipeline of Mask R-CNN: image, backbone, FPN, RPN with its anchors, RoIAlign, box head "
                     f"and mask head, objects. This lesson is about: {where}.")
    return figure


# ---- small arrays, number by number ----


def draw_cells(ax, values, title="", fmt="{:g}", cmap="Blues", limits=None, frame=None, frame_color="#D55E00",
               origin=(0, 0), fontsize=NORMAL):
    """Draw a small (h, w) array as a table of colored cells with the numbers in them.

    Several arrays on one Axes, each with its own `origin`, have cells of one size.

    Parameters
    ----------
    ax : Axes
    values : (h, w) ndarray
        ``nan`` stays an empty cell.
    title : str
    fmt : str
        How a number is written; ``""`` writes none.
    cmap : str
        A matplotlib colormap.
    limits : (lowest, highest), optional
        What the ends of the colormap stand for; by default the values' own.
    frame : (row, column, height, width), optional
        Cells to put a frame around, or a list of such.
    frame_color : str, or one for each frame
    origin : (row, column)
        Where the array's first cell stands; the axes' coordinates are columns and rows.
    fontsize : float
    """
    values = np.asarray(values, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = limits or ((known.min(), known.max()) if known.size else (0, 1))
    colors = matplotlib.colormaps[cmap]
    for (i, j), value in np.ndenumerate(values):
        place = j + origin[1], i + origin[0]
        shade = 0.5 if high == low else min(max((value - low) / (high - low), 0), 1)
        # the darkest tenth of a map hides the number, and its lightest end the cell
        color = colors(0.04 + 0.86 * shade) if np.isfinite(value) else "white"
        ax.add_patch(Rectangle(place, 1, 1, facecolor=color, edgecolor="#B9BEC6", linewidth=0.7))
        if fmt and np.isfinite(value):
            ax.text(place[0] + 0.5, place[1] + 0.5, fmt.format(value + 0.0), ha="center", va="center",
                    fontsize=fontsize, color=ink_on(color))     # -0 + 0 is 0
    frames = np.reshape(frame or (), (-1, 4))       # one is a list of one
    colors = [frame_color] * len(frames) if isinstance(frame_color, str) else frame_color
    for (row, column, height, width), color in zip(frames, colors, strict=True):
        ax.add_patch(Rectangle((column + origin[1], row + origin[0]), width, height, fill=False,
                               edgecolor=color, linewidth=2.5, zorder=4))
    h, w = values.shape
    ax.update_datalim([(origin[1], origin[0]), (origin[1] + w, origin[0] + h)])     # an empty array has its place too
    drawn = ax.dataLim      # around all arrays so far
    margin = 0.07           # half of a frame's line
    ax.set(xlim=(drawn.x0 - margin, drawn.x1 + margin), ylim=(drawn.y1 + margin, drawn.y0 - margin),
           xticks=[], yticks=[], aspect="equal")
    ax.set_frame_on(False)
    if title:
        ax.annotate(title, (origin[1] + w / 2, origin[0]), xytext=(0, 5), textcoords="offset points", ha="center",
                    va="bottom", fontsize=NORMAL, annotation_clip=False)


def heading(figure, text):
    """Write the point that a figure makes above all of its panels."""
    figure.suptitle(text, fontsize=LARGE, fontweight="bold", x=0.01, ha="left")
