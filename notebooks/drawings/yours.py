"""The last lesson's figures: where each of the reader's functions stands in the model, and how one wrong function
shows in what the model finds."""

from matplotlib.patches import FancyBboxPatch

from npmaskrcnn.plots.style import CURVE, INK, MUTED, NORMAL, PAPER, SMALL, new_figure, styled

# what a stage does -> the exercises that stand in it
PLACES = {
    "body, FPN, all heads\n(02, 03, 05)": ("conv2d_forward", "conv2d_backward", "conv_transpose2d_forward",
                                           "batch_norm_backward", "upsample_backward"),
    "anchors, matching\n(06, 07)": ("anchors_of_cell", "iou", "match", "encode_boxes", "decode_boxes"),
    "proposals, RoIAlign\n(08, 09)": ("nms", "assign_level", "roi_align_forward", "roi_align_backward"),
    "heads, result\n(01, 11)": ("paste_mask", "to_image_frame"),
    "losses, step\n(10, 12, 13)": ("softmax_cross_entropy", "smooth_l1", "mask_bce", "sgd_step"),
}


@styled
def places(mine):
    """Draw the stages in a row, in each the functions that stand in it; those of the reader's own are dark."""
    figure = new_figure(9.2, 2.6, layout=None)
    ax = figure.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, 92), ylim=(26, 0))
    ax.axis("off")
    for column, (stage, names) in enumerate(PLACES.items()):
        left = 1 + 18.3 * column
        ax.text(left + 8.5, 2.6, stage, ha="center", va="center", fontsize=NORMAL, color=INK)
        for row, name in enumerate(names):
            ground, ink = (CURVE, PAPER) if name in mine else (PAPER, INK)
            ax.add_patch(FancyBboxPatch((left, 5.6 + 4 * row), 17, 3, boxstyle="round,pad=0,rounding_size=0.6",
                                        facecolor=ground, edgecolor=MUTED, linewidth=0.8))
            ax.text(left + 8.5, 7.1 + 4 * row, name, ha="center", va="center", fontsize=SMALL, color=ink)
    total = sum(map(len, PLACES.values()))
    ax.text(91.2, 24.3, f"dark: yours, {len(mine)} of {total}", ha="right", va="center", fontsize=SMALL, color=INK)
    figure.set_label("Twenty functions in five columns, from convolutions over anchors, proposals and heads to the "
                     f"losses and the optimizer's step; {len(mine)} of {total} are the reader's own and dark.")
    return figure
