"""One function per figure: it takes arrays or a `Trace`, and returns a matplotlib Figure.

Nothing is shown, saved or kept: in a notebook the figure is the cell's value, in a script
``figure.savefig("name.png")`` writes it. ``figure.get_label()`` is its alternative text, one sentence for
those who cannot see it. Every figure draws with the palette and the sizes of `npmaskrcnn.plots.style`.

====================  =========================  ==========================================================
function              takes                      what one sees
====================  =========================  ==========================================================
`stage_sheet`         trace                      one image on its way through all stages, on one page
`funnel`              trace                      how many boxes are left after each step
`provenance`          trace, detection           one detection followed back to the cell it was born on
`instances`           image, Detections, ...     an image with masks, boxes, labels and scores, or its truth
`gallery`             images, detections, ...    many of them in a grid, found and there
`side_by_side`        images, answers by name    which pixel is whose, as each source has it
`features`            trace                      C2..C5 and P2..P6 in false colors
`anchors`             image, anchors, grids      the grid of each level and the anchors of one cell
`matches`             image, anchors, matches    positive, ignored and negative anchors
`objectness`          trace                      the RPN's belief, a heat map per level and anchor shape
`proposals`           trace                      the best anchors, moved by their deltas, thinned by NMS
`roi_levels`          trace                      which level each RoI is pooled from, and the rule
`roi_align_samples`   feature map, box, scale    where RoIAlign reads, with what weights
`class_masks`         trace, detection           all K masks of one RoI; its class's is framed
`half_pixels`         an object's first and last where pixel i is: for boxes, RoIAlign and pasting
`loss_curves`         log                        the losses and their chance levels, gradient norm, AP
`gradient_curves`     log                        gradient norm and update-to-weight ratio of each part
`precision_recall`    evaluation.bbox or .segm   precision against recall, AP against the IoU threshold
`case_sheet`          a run, a healthy one ...    a training that went wrong beside one that went well
`worth`               AP of variants, by seed    what each part of a model is worth, beside its baseline
`cost_bars`           npmaskrcnn.cost(model)     multiply-adds, parameters, memory and time of each stage
`light_models`        rows of measurements       AP of pruned and quantized models, against what they save
====================  =========================  ==========================================================

`save_figure` writes a figure, whole or not at all. `input_image` is no figure, but the picture under many: the net's
padded input with normalization undone.
"""

from .case import case_sheet
from .costs import cost_bars
from .curves import gradient_curves, loss_curves, precision_recall
from .flow import funnel, provenance
from .instances import gallery, instances, side_by_side
from .light import light_models
from .pixels import half_pixels
from .pyramid import anchors, features, input_image
from .roi import class_masks, roi_align_samples, roi_levels
from .rpn import matches, objectness, proposals
from .sheet import stage_sheet
from .style import save_figure
from .worth import worth

__all__ = ["anchors", "case_sheet", "class_masks", "cost_bars", "features", "funnel", "gallery", "gradient_curves",
           "half_pixels", "input_image", "instances", "light_models", "loss_curves", "matches", "objectness",
           "precision_recall", "proposals", "provenance", "roi_align_samples", "roi_levels", "save_figure",
           "side_by_side", "stage_sheet", "worth"]
