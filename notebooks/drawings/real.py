"""The figures of lesson 18: a threshold that moves through a histogram, cells that touch and are parted where they are
narrow, what hangs together in the image of all lessons, and films whose objects carry numbers. A color stands for one
object, or for one track; only the map of classes has the colors of classes."""

import numpy as np
from matplotlib.colors import to_rgb

from npmaskrcnn import classical
from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.style import (CURVE, INK, MUTED, NEGATIVE, class_color, ink_on, new_figure, show_image,
                                    track_color)

GROUND, UNFOUND = "#E8EAED", "#B9BEC6"      # where nothing is, and an object that is there and was not found
THREE = track_color(1), track_color(10), track_color(4)         # for few objects: none like a class's color


def painted(masks, colors):
    """A picture in which each mask has its color, on pale ground: (H, W, 3) float."""
    picture = np.broadcast_to(to_rgb(GROUND), (*np.shape(masks)[1:], 3)).copy()
    for mask, color in zip(masks, colors):
        picture[np.asarray(mask) > 0.5] = to_rgb(color)
    return picture


def in_few_grays(image):
    """A gray picture in sixteen grays, so that the noise of its ground does not fill the file."""
    return image // 16 * 17


def like(masks, true_masks):
    """For each mask the color of the true one that it covers most, or another one if it covers none."""
    colors = []
    for number, mask in enumerate(np.asarray(masks) > 0.5):
        common = (true_masks & mask).sum(axis=(1, 2))
        colors.append(track_color(common.argmax() if common.any() else len(true_masks) + number))
    return colors


# ---- a page of arithmetic ----


def threshold_frames(image, variance):
    """Make the function that draws one frame: the histogram cut at a threshold, and what is brighter."""
    gray = image[:, :, 0]
    numbers = np.bincount(gray.ravel(), minlength=256)

    def frame(threshold):
        figure = new_figure(8, 2.6)
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 2.2, 1])
        show_image(left, in_few_grays(image), axis_labels=False)
        left.set_title("the picture")
        middle.fill_between(np.arange(256), numbers, step="mid", color=UNFOUND, linewidth=0)
        middle.axvline(threshold + 0.5, color=NEGATIVE, linewidth=2)
        middle.set(xlabel="gray value", ylabel="pixels (cut off at 500)", ylim=(0, 500),
                   title="how many pixels have which gray value")
        curve = middle.twinx()
        curve.plot(np.arange(255), variance, color=CURVE, linewidth=2)
        curve.plot(threshold, variance[threshold], "o", color=CURVE)
        curve.set(ylim=(0, 1.25 * max(variance)), yticks=[])
        curve.spines["right"].set_visible(False)
        curve.text(250, 1.12 * max(variance), "between-class variance", color=CURVE, ha="right", va="center",
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        show_image(right, np.where(gray > threshold, 1.0, 0.15), axis_labels=False, cmap="gray", vmin=0, vmax=1)
        right.set_title(f"above {threshold}: {(gray > threshold).sum():,} pixels")
        best = " (the greatest)" if threshold == np.argmax(variance) else ""
        heading(figure, f"Threshold {threshold}: between-class variance {variance[threshold]:,.0f}{best}")
        return figure
    return frame


def parting(dataset, numbers, watershed):
    """Pictures in rows: the truth, what hangs together, how far each pixel is from the ground, and the watershed.

    ``watershed(image)`` returns the height and the peak of each bright pixel.
    """
    figure = new_figure(9, 1.85 * len(numbers) + 0.5)
    for number, row in zip(numbers, figure.subplots(len(numbers), 5, squeeze=False)):
        image, target = dataset[number]
        show_image(row[0], in_few_grays(image), axis_labels=False)
        row[0].set_title(f"picture {number}")
        answers = {"true": target, "connected": classical.find_components(image),
                   "watershed": classical.find_by_watershed(image)}
        for ax, (name, answer) in zip(row[[1, 2, 4]], answers.items()):
            show_image(ax, painted(answer.masks, like(answer.masks, target.masks)), axis_labels=False)
            ax.set_title(f"{name}: {len(answer)}")
        height, peak_of = watershed(image)
        y, x = np.transpose(list(set(peak_of.values())))
        show_image(row[3], height, axis_labels=False, cmap="gray")
        row[3].plot(x + 0.5, y + 0.5, "o", color=NEGATIVE, markersize=4)
        row[3].set_title(f"distance, {len(x)} peaks")
    heading(figure, "What touches is one, until distances from the ground part it")
    figure.set_label("Two pictures of drawn cells. In the first, connected components merge cells that touch, and the "
                     "watershed parts them as the truth does; in the second some cells stay merged.")
    return figure


def found_cells(dataset, found, class_names):
    """The first three pictures of drawn cells, and what a model that knows shapes finds in them."""
    figure = new_figure(8.6, 3.1)
    for number, ax in enumerate(figure.subplots(1, 3)):
        image, target = dataset[number]
        one = found[number]
        show_image(ax, in_few_grays(image), axis_labels=False)
        draw_instances(ax, one.boxes, one.labels, one.scores, one.masks, class_names, text=True)
        ax.set_title(f"picture {number}: {len(target)} cells, {len(one)} found")
    heading(figure, "Some cells are circles to a model that knows three shapes; most are nothing")
    figure.set_label("Three pictures of drawn cells. In the first a square of dark ground and two circles are found, "
                     "in the second nothing, in the third four circles, which are cells.")
    return figure


# ---- pixels that hang together ----


def by_pixels(image, bright, target, parts):
    """The image of all lessons, what is brighter than Otsu's threshold, the class of each pixel, and its parts."""
    figure = new_figure(9, 2.3)
    axes = figure.subplots(1, 4)
    show_image(axes[0], image, axis_labels=False)
    axes[0].set_title("our image")
    above = np.where((np.asarray(bright.masks) > 0.5).any(axis=0), 1.0, 0.15)
    show_image(axes[1], above, axis_labels=False, cmap="gray", vmin=0, vmax=1)
    axes[1].set_title("above Otsu's threshold")
    show_image(axes[2], painted(target.masks, map(class_color, target.labels)), axis_labels=False)
    axes[2].set_title("each pixel's class, all true")
    show_image(axes[3], painted(parts, THREE), axis_labels=False)
    axes[3].set_title("what of it hangs together")
    for ax, number in ((axes[1], len(bright)), (axes[3], len(parts))):
        ax.set_xlabel(f"{number} objects", color=INK)
    heading(figure, "Four objects; for a question about pixels the two squares are one")
    figure.set_label("The image with four shapes; the pixels above Otsu's threshold, which are both squares in one "
                     "piece and the triangle; the true classes of all pixels; and their three connected parts.")
    return figure


# ---- films ----


def draw_tracks(ax, target, found, numbers):
    """A frame of a film, each found object in the color of its track and with its number; gray ones are not found."""
    masks = np.asarray(found.masks) > 0.5
    order = np.argsort([-mask.sum() for mask in masks])        # small ones on top
    colors = [THREE[number] if number >= 0 else MUTED for number in numbers]
    show_image(ax, painted([*target.masks, *masks[order]], [UNFOUND] * len(target) + [colors[k] for k in order]),
               axis_labels=False)
    for (x1, y1, x2, y2), number, color in zip(found.boxes, numbers, colors):
        ax.text((x1 + x2) / 2, (y1 + y2) / 2, str(number) if number >= 0 else "-", color=ink_on(color), ha="center",
                va="center", fontweight="bold")


def film_frames(film, found, answers):
    """Make the function that draws one frame: the picture, and the numbers that each of `answers` gives."""
    def frame(time):
        image, target = film[time]
        picture = np.empty_like(image)                          # without noise, which would fill the file
        for mask in (~target.masks.any(axis=0), *target.masks):
            picture[mask] = image[mask].mean(axis=0)
        figure = new_figure(8, 2.5)
        left, *others = figure.subplots(1, 1 + len(answers))
        show_image(left, picture, axis_labels=False)
        left.set_title("the film")
        for ax, (name, numbers) in zip(others, answers.items()):
            draw_tracks(ax, target, found[time], numbers[time])
            ax.set_title(name)
        heading(figure, f"Frame {time}: {len(found[time])} found")
        return figure
    return frame


def strip(targets, found, numbers):
    """All frames of a film side by side, with the numbers of the tracks."""
    figure = new_figure(9, 1.5)
    for time, ax in enumerate(figure.subplots(1, len(targets))):
        draw_tracks(ax, targets[time], found[time], numbers[time])
        ax.set_title(f"frame {time}")
    heading(figure, "Two circles cross, and go on with each other's numbers")
    figure.set_label("Seven frames. A small circle, 1, goes behind a large one, 0; in frame 2 it is not found, in "
                     "frame 3 it is hidden. From there on the large one is 1, and the small one is 0.")
    return figure
