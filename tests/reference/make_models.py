"""Make ``models_*.npz``: what torchvision's models compute, stage by stage and end to end, losses and gradients.

Run: ``python tests/reference/make_models.py [case ...]`` (needs torch and torchvision). Weights, images and
samples are those of `cases`. Small arrays are stored whole, large ones as fingerprints.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.reference import torchvision_side as side  # noqa: E402
from tests.reference.cases import CASES, build, images_and_targets  # noqa: E402
from tests.reference.fingerprint import fingerprint  # noqa: E402
from tests.reference.store import save  # noqa: E402

WHOLE = ("proposals", "proposal_scores", "class_logits", "box_deltas", "detection_boxes", "boxes", "labels", "scores",
         "losses")


def reduced(arrays, prefix):
    """Return what is stored of `arrays`: whole where the comparison needs every number."""
    return {f"{prefix}/{name}": array if name.split("/")[0] in WHOLE else fingerprint(array, name)
            for name, array in arrays.items()}


def make(name):
    """Run torchvision on one case and store what it says."""
    case = CASES[name]
    images, targets = images_and_targets(name)
    arrays = {}
    for dtype in case.dtypes:
        model = build(name, dtype)
        twin = side.twin_of(model)
        del model
        stages = side.stages_of(twin, images)
        arrays.update(reduced(stages, dtype))
        if dtype == "float64":
            arrays.update(reduced(side.training_of(twin, images, targets, case.sample_seed), dtype))
        counts = [len(stages[f"labels/{i}"]) for i in range(len(images))]
        print(f"{name} {dtype}: {counts} detections")
    save(f"models_{name}", arrays, **side.VERSIONS, case=dict(case._asdict(), builder=case.builder.__name__))


if __name__ == "__main__":
    side.torch.set_num_threads(1)
    for case_name in sys.argv[1:] or CASES:
        make(case_name)
