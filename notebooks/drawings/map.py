"""The figures of the first lesson: three questions that one can ask of an image, the whole of Mask R-CNN as a diagram
in which every panel is an array of one run, the stations of boxes, and what is reported above a score."""

import numpy as np
from matplotlib.colors import to_rgb

from npmaskrcnn import notebook, ops, plots
from npmaskrcnn.plots.flow import draw_class_scores
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.page import Page
from npmaskrcnn.plots.pyramid import feature_picture, input_image, show_answers
from npmaskrcnn.plots.style import (INK, MUTED, SMALL, TRACK_COLORS, class_color, draw_boxes, faded, level_color,
                                    new_figure, panels, show_image, styled)

OBJECT_COLORS = TRACK_COLORS[1], TRACK_COLORS[3], TRACK_COLORS[6], TRACK_COLORS[8]      # unlike those of classes


@styled
def questions(image, found):
    """The image, and the answers of detection, semantic and instance segmentation, side by side."""
    semantic, instance = faded(image), faded(image)
    for number, (mask, label) in enumerate(zip(found.masks > 0.5, found.labels)):
        semantic[mask], instance[mask] = to_rgb(class_color(label)), to_rgb(OBJECT_COLORS[number])
    figure, axes = panels(1, 4, width=2.25, height=1.95)
    titles = ("the image", "detection: where?", "semantic: which class?", "instance: which object?")
    for ax, title, picture in zip(axes[0], titles, (image, image, semantic, instance)):
        show_image(ax, picture, axis_labels=False)
        ax.set_title(title)
    draw_instances(axes[0, 1], found.boxes, found.labels)
    for number, (x1, y1, x2, y2) in enumerate(found.boxes):
        axes[0, 3].text((x1 + x2) / 2, (y1 + y2) / 2, number, ha="center", va="center", fontweight="bold")
    figure.set_label("The image; with four boxes; with pixels in the color of their class, the two touching squares "
                     "being one area; with each object in a color and with a number of its own.")
    return figure


@styled
def diagram(trace, detection):
    """The diagram of the papers, with arrays of one run in its panels; heads look at one detection."""
    page, net_input, step = Page(9.1, 3.6), input_image(trace), trace.provenance(detection)
    size = trace.batch.shape[1:3]

    def panel(x, y, picture, title="", note="", width=1.05, height=0.79, **options):
        ax = page.panel(x, y, width, height, title, note)
        show_image(ax, picture, size if width > height else None, axis_labels=False, **options)
        return ax

    for x, title, stack in ((1.72, "2 backbone", trace.body_features), (3.42, "3 FPN", trace.features)):
        for i, level in enumerate(stack[::-1]):     # stacks of maps, the finest in front
            shift = 0.39 * i / (len(stack) - 1)
            panel(x + shift, 0.85 + shift, feature_picture(level[0]), title * (i == 0), "", 0.95, 0.71)
    page.text(2.11, 2.1, "C2 to C5", SMALL, MUTED)
    page.text(4.2, 2.1, "P2 to P6", SMALL, MUTED)
    panel(0.1, 1.1, net_input, "1 image", "resized, padded", 1.2, 0.9)
    ax = page.panel(3.6, 2.55, 1.05, 0.79, "4 RPN: object here?", "one map per level")
    show_answers(ax, ops.sigmoid(trace.objectness[0]).max(axis=2), size, cmap="magma", vmin=0, vmax=1)
    ax = panel(5.12, 2.55, faded(net_input), "5 proposals", f"{len(trace.proposals)} boxes, 12 drawn")
    draw_boxes(ax, trace.proposals[:12], INK, 0.8, halo=False)
    panel(5.25, 1.05, feature_picture(trace.box_features[step["roi"]]), "6 RoIAlign", "one box: 7 x 7", 0.8, 0.8)
    _draw_heads(page, panel, trace, detection, step["roi"])
    for arrow in ((1.33, 1.5, 1.69, 1.5), (3.08, 1.5, 3.39, 1.5), (4.1, 2.05, 4.1, 2.33), (4.67, 2.94, 5.09, 2.94),
                  (5.65, 2.33, 5.65, 2.1), (4.78, 1.5, 5.22, 1.5), (6.09, 1.35, 6.35, 1.15), (6.09, 1.6, 6.95, 2.4),
                  (7.8, 1.05, 8.2, 1.36), (7.82, 2.5, 8.3, 2.35)):
        page.arrow(*arrow)
    notebook.heading(page.figure, "Mask R-CNN: find boxes, then look into each box")
    page.figure.set_label("Image, backbone maps, pyramid maps; the RPN marks where objects are and proposes boxes; "
                          "RoIAlign cuts 7 by 7 vectors out for one box; the heads say triangle and draw its mask.")
    return page.figure


def _draw_heads(page, panel, trace, detection, roi):
    """What the two heads say of one detection, and the result."""
    label, sure = trace.detections.labels[detection], trace.detections[trace.detections.scores >= 0.5]
    scores = page.panel(7.0, 0.65, 0.75, 0.7, "7 box head", "class, better box")
    draw_class_scores(scores, ops.softmax(trace.class_logits[roi]), trace.class_names)
    scores.set(xticks=[])
    mask = ops.sigmoid(trace.mask_logits[detection, :, :, label])
    panel(6.98, 2.2, mask, "8 mask head", "28 x 28, pasted", 0.8, 0.8, cmap="gray", vmin=0, vmax=1)
    result = page.panel(8.0, 1.4, 1.08, 0.72, note="9 result")
    show_image(result, trace.image, axis_labels=False)
    draw_instances(result, sure.boxes, sure.labels, masks=sure.masks)


@styled
def stations(trace):
    """Boxes on the image at five stations of their journey, and their numbers as bars."""
    anchors, levels = np.concatenate(trace.anchors), np.repeat(np.arange(5), [len(boxes) for boxes in trace.anchors])
    any_order = np.random.default_rng(0).permutation(len(anchors))
    panels_of = (("anchors", anchors, any_order, levels, level_color),
                 ("best boxes", trace.top_k_boxes, trace.top_k_scores.argsort()[::-1], trace.top_k_levels, level_color),
                 ("proposals", trace.proposals, trace.proposal_scores.argsort()[::-1],
                  trace.top_k_levels[trace.proposal_rows], level_color),
                 ("candidates", trace.candidate_boxes, trace.candidate_scores.argsort()[::-1], trace.candidate_labels,
                  class_color),
                 ("detections", trace.detection_boxes, np.arange(11), trace.detections.labels, class_color))
    figure = new_figure(9, 3.9)
    grid = figure.add_gridspec(2, 5, height_ratios=[1, 1.15])
    for column, (name, boxes, order, kinds, color) in enumerate(panels_of):
        drawn = order[:12]
        ax = figure.add_subplot(grid[0, column], title=f"{len(drawn)} of {len(boxes):,} {name}")
        show_image(ax, faded(input_image(trace)), axis_labels=False)
        draw_boxes(ax, boxes[drawn], [color(kind) for kind in kinds[drawn]], 1, halo=False)
    plots.funnel(trace, ax=figure.add_subplot(grid[1, :]))
    notebook.heading(figure, "From thousands of boxes to a few; only the classes can add any")
    figure.set_label("Five panels, each with at most twelve boxes over the image: scattered anchors, then boxes "
                     "that lie on objects. Below, bars of their numbers, from 3,072 to 11.")
    return figure


@styled
def reported(image, detections, threshold):
    """What is reported when all detections of at least a score are."""
    found = detections[detections.scores >= threshold]
    figure, axes = panels(1, 2, width=3.2, height=2.7)
    show_image(axes[0, 0], image, axis_labels=False)
    draw_instances(axes[0, 0], found.boxes, found.labels)
    axes[0, 0].set_title(f"score at least {threshold:g}: {len(found)} reported")
    colors = [class_color(label) if score >= threshold else "#C9CDD3"
              for label, score in zip(detections.labels, detections.scores)]
    axes[0, 1].barh(range(len(detections)), detections.scores, color=colors)
    axes[0, 1].axvline(threshold, color=INK, linewidth=1)
    axes[0, 1].set(ylim=(len(detections) - 0.4, -0.6), xlim=(0, 1), xlabel="score", ylabel="row",
                   yticks=range(len(detections)))
    return figure
