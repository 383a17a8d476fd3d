"""Images with their instances: what was found, what is there, and both together.

One mask per object, one box, one class, one score: that is what Mask R-CNN answers, and this is how it
is drawn everywhere. Detections are solid lines with filled masks; ground truth is dashed and unfilled,
so that the two can lie in the same picture.
"""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ..words import count
from .style import (INK, MUTED, NORMAL, class_color, class_name, draw_boxes, draw_label, faded, in_legend, new_figure,
                    panels, say_nothing, show_image, styled, tiles, track_color)

MASK_THRESHOLD = 0.5   # of a predicted probability, as everywhere
MOST_POINTS = 1000     # beside each other, of the grid on which an outline is found: a figure has fewer pixels
LONGEST_LIST = 50      # characters of a title
MOST_LABELS = 15       # of a crowded field only masks and boxes can be told apart, and labels would hide them


@styled
def instances(image, boxes, labels=None, scores=None, masks=None, class_names=None, target=None, title=None,
              ax=None, size=4.5, text=True):
    """Draw an image with the masks, boxes, labels and scores of its instances.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) array
        uint8, or float in 0..1.
    boxes : (D, (x1, y1, x2, y2)) array, Detections or Target
        In pixels of the image. A `Detections` or a `Target` brings its own labels, scores and masks;
        a `Target` is drawn dashed.
    labels : (D,) int array, optional
    scores : (D,) float array, optional
    masks : (D, H, W) array or MaskSequence, optional
        bool, or probabilities, of which those above 0.5 are drawn. One is looked at at a time.
    class_names : list of str, optional
        With "background" first.
    target : Target, optional
        Ground truth, dashed, under the instances.
    title : str, optional
        By default how many instances there are.
    ax : Axes, optional
        Draw here instead of in a new figure.
    size : float
        Width of the new figure in inches.
    text : bool
        Write class and score at each box, unless there are more than 15.

    Returns
    -------
    figure : matplotlib Figure
    """
    is_truth = hasattr(boxes, "masks") and not hasattr(boxes, "scores")
    if hasattr(boxes, "masks"):
        boxes, labels, masks, scores = boxes.boxes, boxes.labels, boxes.masks, getattr(boxes, "scores", None)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    labels = np.ones(len(boxes), int) if labels is None else np.asarray(labels)
    noun = "object" if scores is None else "detection"
    contents = count(len(boxes), noun) + _listed([class_name(label, class_names) for label in labels])
    if ax is None:
        height, width = np.asarray(image).shape[:2]
        figure = new_figure(size, size * min(max(height / width, 0.3), 3) + 0.25)
        figure.set_label(f"Image of {width} x {height} pixels with {contents}.")
        ax = figure.subplots()
    show_image(ax, image)
    if target is not None:
        draw_instances(ax, target.boxes, target.labels, masks=target.masks, truth=True)
    draw_instances(ax, boxes, labels, scores, masks, class_names, truth=is_truth, text=text)
    if not len(boxes):
        say_nothing(ax, f"no {noun}")
    crowded = text and len(boxes) > MOST_LABELS
    ax.set_title(contents + " (too many for labels)" * crowded if title is None else title)
    return ax.figure


@styled
def gallery(images, detections=None, targets=None, class_names=None, min_score=0.5, columns=4, size=2.6):
    """Draw many images in a grid, each with its detections (solid) and its ground truth (dashed).

    Parameters
    ----------
    images : list of (H, W, 3) arrays
    detections : list of Detections, optional
    targets : list of Target, optional
    class_names : list of str, optional
    min_score : float
        Detections that score less are not drawn and not counted.
    columns : int
    size : float
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    tallest = max([np.asarray(image).shape[0] / np.asarray(image).shape[1] for image in images], default=0.4)
    figure, axes = tiles(max(len(images), 1), max(1, min(columns, len(images))), size, size * min(tallest, 2) + 0.4)
    for i, (ax, image) in enumerate(zip(axes, images)):
        show_image(ax, image, axis_labels=False)
        words = []
        if targets is not None:
            draw_instances(ax, targets[i].boxes, targets[i].labels, None, targets[i].masks, class_names, truth=True,
                           text=detections is None)
            words.append(f"{len(targets[i])} there")
        if detections is not None:
            found = detections[i][detections[i].scores >= min_score]
            draw_instances(ax, found.boxes, found.labels, found.scores, found.masks, class_names, text=True)
            words.insert(0, f"{len(found)} found")
            if not len(found):
                say_nothing(ax, "no detection")
        ax.set_title(f"{i}:  {', '.join(words)}" if words else f"{i}")
    if not len(images):
        axes[0].axis("off")
        say_nothing(axes[0], "no image")
    _class_legend(figure, detections, targets, class_names, min_score)
    figure.set_label(f"Grid of {count(len(images), 'image')}"
                     + (" with detections as solid boxes and filled masks" if detections is not None else "")
                     + (", ground truth dashed" if targets is not None else "") + ".")
    return figure


@styled
def side_by_side(images, answers, min_score=0.5, size=2.2, titles=None):
    """Draw images, a row each, and beside each what several sources say, colored by the objects of the first.

    Where all objects are of one class and touch each other, it matters which pixel is whose, and not of what class.
    There are eighteen colors; in an image of more objects they come round again.

    Parameters
    ----------
    images : list of (H, W, 3) arrays
    answers : dict of str to list
        For each source by its name a list of Detections or Targets with masks, one for each image. An object has the
        color of that of the first source which it covers most: two that share a color are parts of one.
    min_score : float
        Detections that score less are not drawn and not counted.
    size : float
        Width of a panel in inches.
    titles : list of str, optional
        Of the images; without them, their numbers.

    Returns
    -------
    figure : matplotlib Figure
    """
    titles = [str(i) for i in range(len(images))] if titles is None else titles
    tallest = max([np.asarray(image).shape[0] / np.asarray(image).shape[1] for image in images], default=0.4)
    figure, axes = panels(max(len(images), 1), 1 + len(answers), size, size * min(tallest, 2) + 0.3)
    for ax in axes.flat:
        ax.axis("off")
    for i, (row, image) in enumerate(zip(axes, images)):
        show_image(row[0], image, axis_labels=False)
        row[0].set_title(titles[i])
        gray = faded(np.repeat(np.mean(image, axis=2, keepdims=True), 3, axis=2).astype(np.asarray(image).dtype))
        first = None                    # masks of the first source
        for ax, (name, found) in zip(row[1:], answers.items()):
            one = found[i]
            one = one[one.scores >= min_score] if hasattr(one, "scores") else one
            show_image(ax, gray, axis_labels=False)
            masks = np.array([mask > MASK_THRESHOLD for mask in one.masks], bool).reshape(-1, *np.shape(image)[:2])
            first = masks if ax is row[1] else first
            for k, mask in enumerate(masks):
                common = np.count_nonzero(first & mask, axis=(1, 2))
                _draw_mask(ax, mask, track_color(common.argmax() if common.any() else len(first) + k), truth=False)
            ax.set_title(f"{name}: {len(one)}")
    if not len(images):
        say_nothing(axes[0, 0], "no image")
    figure.set_label(f"{count(len(images), 'image').capitalize()} in rows, and beside each, objects in the colors of "
                     f"those of the first that they cover: {', '.join(answers) or 'nothing'}.")
    return figure


def draw_instances(ax, boxes, labels, scores=None, masks=None, class_names=None, truth=False, text=False):
    """Draw instances on an axes that shows their image; the best, which come first, end on top.

    More than `MOST_LABELS` of them go without their texts.
    """
    for i in reversed(range(len(boxes))):
        color = class_color(labels[i])
        if masks is not None and len(masks):
            _draw_mask(ax, masks[i], color, truth)
        draw_boxes(ax, boxes[i], color, 1.6, linestyle=(0, (3, 2)) if truth else "solid")
        if text and len(boxes) <= MOST_LABELS:
            label = class_name(labels[i], class_names) + ("" if scores is None else f" {scores[i]:.2f}")
            x1, y1, _, y2 = boxes[i]
            near_top = y1 < 0.08 * abs(ax.get_ylim()[0])
            draw_label(ax, x1, y2 if near_top else y1, label, color, above=not near_top)


def _draw_mask(ax, mask, color, truth):
    """A tinted area with an outline; ground truth has the outline only, dashed."""
    outline = _outline(ax, mask)
    if outline is None:
        return
    if not truth:
        ax.add_artist(PathPatch(outline, facecolor=color, edgecolor="none", alpha=0.5))
    ax.add_artist(PathPatch(outline, fill=False, edgecolor=color, linewidth=1.2,
                            linestyle="dashed" if truth else "solid", zorder=2))


def _outline(ax, mask):
    """The closed lines around what is above the threshold, in pixels of the image; None if nothing is.

    Only the mask's own rectangle is looked at, on a coarser grid where it is large: the memory of a hundred masks is
    that of their lines.
    """
    inside = mask > MASK_THRESHOLD
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return None
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)     # outlines run between pixels in and out
    part = mask[top:rows[-1] + 2, left:columns[-1] + 2]
    step = -(-max(part.shape) // MOST_POINTS)
    for axis, side in enumerate(part.shape if step > 1 else ()):
        part = np.maximum.reduceat(part, np.arange(0, side, step), axis=axis)      # so that what is thin stays
    part = np.pad(part.astype(np.float64), 1)                   # a rim of zeros closes outlines at the border
    y, x = (start + step * (np.arange(side) - 0.5) for start, side in zip((top, left), part.shape))
    num_before = len(ax.collections)
    lines = ax.contour(x, y, part, levels=[MASK_THRESHOLD]).allsegs[0]
    for collection in ax.collections[num_before:]:              # it would keep its grid
        collection.remove()
    return Path.make_compound_path(*[Path(line, closed=True) for line in lines])


def _listed(names):
    """': circle, 2 × square', in order of appearance."""
    counted = {name: names.count(name) for name in names}
    listed = ", ".join(name if number == 1 else f"{number} × {name}" for name, number in counted.items())
    return f": {listed}" if counted and len(counted) <= 4 and len(listed) <= LONGEST_LIST else ""


def _class_legend(figure, detections, targets, class_names, min_score):
    """Which color is which class, and which line is whose."""
    present = sorted({int(label) for items in (detections, targets) for item in items or () for label in item.labels})
    handles = [Line2D([], [], color=class_color(label), linewidth=4, label=in_legend(class_name(label, class_names)))
               for label in present[:8]]
    if detections is not None and targets is not None:
        sure = f", score ≥ {min_score:g}" if min_score > 0 else ""
        handles += [Line2D([], [], color=INK, label=f"detection{sure}"),
                    Line2D([], [], color=MUTED, linestyle="dashed", label="ground truth")]
    if handles:
        longest = max([len(class_name(label, class_names)) for label in present], default=0)
        inches = max(1.3, 0.5 + 0.08 * longest)
        figure.legend(handles=handles, loc="outside lower center", fontsize=NORMAL,
                      ncols=min(len(handles), max(1, int(figure.get_figwidth() / inches))))
