"""Multiply-adds of a model's matrix products, stage by stage, under the names of `StageClock`.

They are counted by the package itself (`npmaskrcnn.costs`), which listens to the layers. Everything else (norms,
activations, RoIAlign, NMS) is left out: the figures are what the products alone must cost, to be held against the time
of the whole stage. One multiply-add is two floating-point operations.
"""

import checkout  # noqa: F401  (before the package)

from npmaskrcnn.costs import count_products

STAGES = {"backbone.body": "body", "backbone.fpn": "fpn", "rpn.head": "rpn head", "roi_heads.box": "box head",
          "roi_heads.mask": "mask head"}


def stage_macs(model, run):
    """Return {stage: multiply-adds} of what ``run()`` makes the model do."""
    totals = {}
    for path, number in count_products(model, run).items():
        stage = next(stage for start, stage in STAGES.items() if path.startswith(start))
        totals[stage] = totals.get(stage, 0) + number
    return totals
