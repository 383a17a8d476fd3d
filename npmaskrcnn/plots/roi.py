"""Regions of interest: from which level they are cut, where RoIAlign reads, and the masks that come of it.

A RoI is a box with any corners; a feature map is a grid. RoIAlign lays a grid of its own into the box and
reads the map at points between the cells, each reading a weighted mean of the four nearest cells. Nothing
is rounded: that is the whole difference to RoIPool, and the reason why masks are sharp.
"""

import math

import numpy as np

from .. import ops
from ..stages.roi_pooler import assign_levels
from ..views import axis_samples, feature_picture
from ..words import count
from .pyramid import input_image
from .rpn import level_legend
from .style import (INK, MUTED, NEGATIVE, SMALL, class_color, class_name, draw_boxes, draw_ranked_boxes, faded,
                    level_color, new_figure, panels, show_image, show_mask, styled, without_content, zoom)


@styled
def roi_levels(trace, max_rois=40, canonical_scale=None):
    """Draw the RoIs in the color of the level that they are pooled from, and the rule: size to level.

    Parameters
    ----------
    trace : Trace
    max_rois : int
        Of the proposals so many are drawn on the image, best first; all of them in the diagram.
    canonical_scale : float, optional
        Size in pixels that goes to P4; by default 112, 224 or 56, whichever explains the trace.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    boxes, levels = np.asarray(trace.proposals, np.float64), np.asarray(trace.roi_levels)
    colors = [level_color(level) for level in levels]
    figure, axes = panels(1, 2, 4.6, max(4.0 * height / width, 2.4) + 0.8)
    image_ax, rule_ax = axes[0]
    show_image(image_ax, faded(input_image(trace)))
    draw_ranked_boxes(image_ax, boxes[:max_rois], colors[:max_rois], "proposal")
    image_ax.set_title(f"The {min(len(boxes), max_rois)} best of {count(len(boxes), 'RoI')}, colored by level"
                       if len(boxes) else "No RoI")
    side = np.sqrt(ops.box_area(boxes))
    spread = 0.16 * (np.arange(len(side)) % 7 - 3) / 3          # points of one level side by side
    rule_ax.scatter(side, levels + spread, s=14, color=colors, alpha=0.8, zorder=3)
    explaining = [scale for scale in (112, 224, 56) if np.array_equal(assign_levels(boxes, scale), levels)]
    scale = canonical_scale or next(iter(explaining), None)
    ends = [max(1.0, 0.8 * side.min(initial=8.0)), max(1.2 * side.max(initial=0.0), 2 * (scale or 56))]
    if scale:
        steps = np.geomspace(*ends, 600)
        rule_ax.step(steps, assign_levels(np.stack([0 * steps, 0 * steps, steps, steps], axis=1), scale), color=INK,
                     linewidth=1.3)
        rule_ax.text(0.03, 0.94, f"level = ⌊4 + log₂(size / {scale:g} px)⌋, P2 to P5", transform=rule_ax.transAxes,
                     fontsize=SMALL, va="top")
    rule_ax.set_xscale("log", base=2)
    rule_ax.xaxis.set_major_formatter("{x:g}")
    rule_ax.set(xlim=ends, ylim=(-0.5, 3.8), yticks=range(4), yticklabels=["P2", "P3", "P4", "P5"],
                xlabel="size of the RoI, √(width × height) (px)", ylabel="level", title="Twice the size, one level up")
    level_legend(figure, levels, range(4), "Level: RoIs")
    figure.set_label(f"{count(len(boxes), 'RoI')} colored by pyramid level, and a step diagram of level against size.")
    return figure


@styled
def roi_align_samples(feature, box, spatial_scale, output_size=7, sampling_ratio=2, aligned=False, size=5.0):
    """Draw where RoIAlign reads: bins and sampling points of one RoI on the cells of a feature map.

    Parameters
    ----------
    feature : (h, w, C) or (h, w) array
    box : (x1, y1, x2, y2)
        In input pixels.
    spatial_scale : float
        Cells per pixel.
    output_size, sampling_ratio, aligned
        As in `ops.roi_align`.
    size : float
        Height of the figure in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    feature = np.asarray(feature, np.float64)
    feature = feature[..., None] if feature.ndim == 2 else feature
    roi = np.array([[0, *box]], np.float64)
    pooled = ops.roi_align(feature[None], roi, output_size, spatial_scale, sampling_ratio, aligned)[0]
    x_edges, x_points = axis_samples(box[0], box[2], spatial_scale, output_size, sampling_ratio, aligned)
    y_edges, y_points = axis_samples(box[1], box[3], spatial_scale, output_size, sampling_ratio, aligned)
    points = np.stack(np.meshgrid(x_points, y_points), axis=-1).reshape(-1, 2)
    figure = new_figure(1.75 * size, size)
    map_ax, pooled_ax = figure.subplots(1, 2, width_ratios=(1.6, 1))
    vectors = np.concatenate([values.reshape(-1, values.shape[2]) for values in (feature, pooled)])
    colors = feature_picture(vectors[None])[0]                          # of both alike: they share one color code
    height, width = feature.shape[:2]
    map_ax.imshow(colors[:height * width].reshape(height, width, 3), alpha=0.75)    # the value of cell i sits at i
    pooled_ax.imshow(colors[height * width:].reshape(output_size, output_size, 3), alpha=0.75)
    map_ax.vlines(np.arange(width + 1) - 0.5, -0.5, height - 0.5, color="white", linewidth=0.7, alpha=0.7)
    map_ax.hlines(np.arange(height + 1) - 0.5, -0.5, width - 0.5, color="white", linewidth=0.7, alpha=0.7)
    map_ax.vlines(x_edges, y_edges[0], y_edges[-1], color=INK, linewidth=0.8)
    map_ax.hlines(y_edges, x_edges[0], x_edges[-1], color=INK, linewidth=0.8)
    draw_boxes(map_ax, [x_edges[0], y_edges[0], x_edges[-1], y_edges[-1]], INK, linewidth=2.2)
    map_ax.scatter(*points.T, s=7, color=INK, linewidths=0, zorder=4)
    _draw_weights(map_ax, _most_between(x_points), _most_between(y_points), feature.shape)
    map_ax.set(xlim=(max(x_edges[0] - 2, -1), min(x_edges[-1] + 2, width)),
               ylim=(min(y_edges[-1] + 2, height), max(y_edges[0] - 2, -1)),
               xlabel="x on the map (cells)", ylabel="y on the map (cells)",
               title=f"{len(points)} points, each a mean of its four cells by the weights shown")
    pooled_ax.set(xlabel="column of bins", ylabel="row of bins",
                  title=f"Result: {output_size} × {output_size} bins,\n"
                        f"each the mean of its {len(points) // output_size ** 2} points")
    figure.set_label(f"A region of interest on the cells of a feature map with {output_size} by {output_size} bins and "
                     f"{len(points)} sampling points, and the pooled result.")
    return figure


@styled
def class_masks(trace, detection=0, max_classes=8, size=1.9):
    """Draw all K masks that the mask head predicts for one detection; the one of its class is framed.

    Parameters
    ----------
    trace : Trace
    detection : int
        Row of the detections.
    max_classes : int
        With more classes than that, those with the highest scores.
    size : float
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    if trace.mask_logits is None or not len(trace.detection_boxes):
        what = "no mask branch" if trace.mask_logits is None else "no detection"
        figure, _ = panels(1, 1, 2 * size, size)
        return without_content(figure, what, f"There is {what}, so there is no mask.")
    scores = ops.softmax(trace.class_logits[trace.provenance(detection)["roi"]])
    label = int(trace.detections.labels[detection])
    name = class_name(label, trace.class_names)
    others = [k for k in np.argsort(-scores, kind="stable") if k != label]
    shown = sorted([label, *others[:max_classes - 1]])
    figure, axes = panels(1, len(shown) + 1, size, 0.85 * size + 0.8)
    show_image(axes[0, 0], input_image(trace), axis_labels=False)
    zoom(axes[0, 0], trace.detection_boxes[detection])
    axes[0, 0].set(aspect="auto", box_aspect=1, title="The RoI, warped\nto a square")    # as the head sees it
    for ax, k in zip(axes[0, 1:], shown):
        color, linewidth = (class_color(k), 4) if k == label else (MUTED, 0.6)
        heat = show_mask(ax, ops.sigmoid(trace.mask_logits[detection, :, :, k]), color, linewidth)
        ax.set_title(f"{class_name(k, trace.class_names)}\nclass score {scores[k]:.2f}", color=color)
    figure.colorbar(heat, ax=axes, label="mask probability", shrink=0.7, aspect=15)
    figure.suptitle(f"{trace.mask_logits.shape[3]} masks for one RoI, each from its own sigmoid: "
                    f"the class ({name}) picks, the masks do not compete", x=0.01, ha="left")
    figure.set_label(f"The {len(shown)} mask predictions of one detection, one per class, with that of its class, "
                     f"{name}, framed.")
    return figure


def _most_between(points):
    """Of the points along one axis, the one whose weights are most even; the middle one among equals."""
    by_distance = points[np.argsort(np.abs(points - points.mean()), kind="stable")]
    return by_distance[np.argmin(np.round(np.abs(by_distance % 1 - 0.5), 3))]


def _draw_weights(ax, x, y, shape):
    """One point with lines to the centers of its four cells, and the weight of each in the cell's far corner."""
    x0 = min(max(math.floor(x), 0), shape[1] - 1)
    y0 = min(max(math.floor(y), 0), shape[0] - 1)
    for cell_y in (y0, y0 + 1):
        for cell_x in (x0, x0 + 1):
            weight = (1 - abs(x - cell_x)) * (1 - abs(y - cell_y))
            ax.plot([x, cell_x], [y, cell_y], color=NEGATIVE, linewidth=1.5, zorder=5)
            ax.text(cell_x + (0.2 if cell_x > x0 else -0.2), cell_y + (0.3 if cell_y > y0 else -0.3),
                    f"{weight:.2f}", fontsize=SMALL, ha="center", va="center", zorder=6,
                    bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": NEGATIVE, "linewidth": 0.8})
    ax.scatter([x], [y], s=26, color=NEGATIVE, zorder=7)
