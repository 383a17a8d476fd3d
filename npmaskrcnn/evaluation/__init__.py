"""How good are the detections? COCO's average precision, for boxes and for masks.

`evaluate` gives the twelve figures that papers quote. The other functions show where they come from: which
detection found which object, one class's curve of precision against recall, and which class was taken for
which. `rle` reads and writes the form in which COCO files hold masks.
"""

from .. import rle
from .coco_ap import evaluate
from .figures import Evaluation, Figures
from .inspection import DetectionMatches, PrecisionRecall, confusion_matrix, match_detections, precision_recall
from .tracks import TrackFigures, measure_tracks
