"""When to take something else: two other answers on Mask R-CNN's own body and pyramid, in miniature.

`semantic` asks of every pixel what it is, and not which object's it is. `one_stage` finds objects and masks without
looking at any region twice. Both learn from the same targets as Mask R-CNN, answer with the same `Detections`, and are
trained, saved and measured by the same functions, because they keep to what `detector` says. What each of them gets
wrong, and what it costs, is measured by ``notebooks/scripts/others.py``.
"""

from .builders import BUILDERS, one_stage_tiny, semantic_tiny
from .detector import Detector
from .one_stage import OneStage
from .semantic import SemanticNetwork
