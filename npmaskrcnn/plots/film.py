"""A film with its tracks: every object in one color, from its first frame to its last, with its number.

Not drawn by matplotlib like the figures: a film has hundreds of frames, and none should take a second. Small frames
are enlarged in whole steps, so that a number has room and a pixel stays a square; large ones are made smaller, since an
animated GIF is for looking at, and holds them all.
"""

import os

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from ..files import atomic_writer
from .style import TRACK_COLORS, ink_on, track_color

LONGEST_SIDE = 384      # pixels of a frame of the film
TINT = 0.45             # of a mask: part of its color in the pixel
LINE, TEXT = 2, 14      # pixels: width of a line, size of a number


def film_frame(image, tracks):
    """Draw the tracks of one frame into it.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray
    tracks : Tracks
        The rows of this frame.

    Returns
    -------
    frame : Pillow image
        Of 256 colors, as a GIF needs it. The longer side has at most 384 pixels, and more than 192.
    """
    height, width = image.shape[:2]
    scale = max(1, LONGEST_SIDE // max(height, width)) * min(1, LONGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    frame = Image.fromarray(image).resize(size, resampling)
    colors = [_as_bytes(track_color(number)) for number in tracks.numbers]
    for mask, color in zip(() if tracks.masks is None else tracks.masks, colors):
        _tint(frame, Image.fromarray(255 * mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST), color)
    _draw_numbers(ImageDraw.Draw(frame), tracks, colors, scale, size)
    return _in_few_colors(frame)


def _tint(frame, mask, color):
    """Lay a mask's color thinly on what it covers, and thickly on its rim."""
    box = mask.getbbox()
    if box is None:
        return
    mask, part = mask.crop(box), frame.crop(box)
    inner = ImageOps.expand(mask, LINE).filter(ImageFilter.MinFilter(2 * LINE + 1)).crop(
        (LINE, LINE, LINE + mask.width, LINE + mask.height))
    solid = Image.new("RGB", mask.size, color)
    tinted = Image.composite(Image.blend(part, solid, TINT), solid, inner)
    frame.paste(tinted, box, mask)


def _in_few_colors(frame):
    """The frame in 256 colors, among them those of tracks and texts, so that these stay the same through a film."""
    fixed = [part for color in (*TRACK_COLORS, "black", "white") for part in _as_bytes(color)]
    own = frame.quantize(256 - len(fixed) // 3).getpalette()[:768 - len(fixed)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(fixed + own)
    return frame.quantize(palette=palette, dither=Image.Dither.NONE)


def _as_bytes(color):
    return tuple(round(255 * part) for part in to_rgb(color))


def write_film(path, frames, per_second):
    """Write an animated GIF that goes round, whole or not at all.

    Parameters
    ----------
    path : str or path
    frames : iterator of Pillow images
        One at least. Pillow holds all of them until the end, with a byte for each pixel.
    per_second : float
        Frames; GIF counts in hundredths of a second.
    """
    first = next(frames)
    with atomic_writer(path) as file:
        first.save(file, "GIF", save_all=True, append_images=frames, duration=1000 / per_second, loop=0)


def _draw_numbers(draw, tracks, colors, scale, size):
    """Draw boxes, and at the upper left corner of each, within the frame, its number on its color."""
    font = ImageFont.truetype(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), TEXT)
    for (x1, y1, x2, y2), color in zip((tracks.boxes * scale).tolist(), colors):
        draw.rectangle((x1, y1, max(x2, x1), max(y2, y1)), outline=color, width=LINE)
    for number, box, color in zip(tracks.numbers, tracks.boxes * scale, colors):
        text, height = str(number), TEXT + 4
        width = draw.textlength(text, font) + 6
        x = min(max(float(box[0]), 0), size[0] - width)
        y = min(max(float(box[1]) - height, 0), size[1] - height)
        draw.rectangle((x, y, x + width, y + height), fill=color)
        draw.text((x + width / 2, y + height / 2), text, ink_on(track_color(number)), font, anchor="mm")
