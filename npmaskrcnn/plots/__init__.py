"""One function per figure: it takes arrays or a `Trace`, and returns a matplotlib Figure.

Nothing is shown, saved or kept: in a notebook the figure is the cell's value, in a script
``figure.savefig("name.png")`` writes it. ``figure.get_label()`` is its alternative text, one sentence for
those who cannot see it. Every figure draws with the palette and the sizes of `npmaskrcnn.plots.style`.

====================  ===================================================================
function              what one sees
====================  ===================================================================
`instances`           an image with masks, boxes, labels and scores, or its ground truth
`gallery`             many of them in a grid, found and there
`loss_curves`         the five losses against their chance levels, gradient norm, AP
`gradient_curves`     gradient norm and update-to-weight ratio of each part
`precision_recall`    precision against recall, AP against the IoU threshold
====================  ===================================================================
"""

from npmaskrcnn.plots.curves import gradient_curves, loss_curves, precision_recall
from npmaskrcnn.plots.instances import gallery, instances

__all__ = ["gallery", "gradient_curves", "instances", "loss_curves", "precision_recall"]
