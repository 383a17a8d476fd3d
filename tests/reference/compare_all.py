"""Compare every number of every tensor with torchvision's, on both sides at once: the test without shortcuts.

Run: ``python tests/reference/compare_all.py [case ...]`` (needs torch and torchvision). The tests compare with
stored fingerprints and need no torch; this script runs torchvision and this package on the same weights, images
and samples, and prints for each stage the largest difference, relative to the stage's largest entry (boxes: in
pixels). It ends with an error if a difference is beyond what the stored outputs are tested for.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from tests.reference import cases, torchvision_side  # noqa: E402

ABSOLUTE = ("proposals", "proposal_scores", "detection_boxes", "boxes", "labels", "scores", "masks")
# float64: rounding. float32: as far as independent convolutions carry rounding through random heads.
TOLERANCE = {"float64": 1e-6, "float32": 1e-2}


def difference(ours, theirs, name):
    """Return the largest difference of two arrays, absolute (boxes, scores) or relative to the largest entry."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not theirs.size:
        return 0.0
    error = np.abs(ours.astype(np.float64) - theirs).max()
    return error if name.split("/")[0] in ABSOLUTE else error / max(np.abs(theirs).max(), 1e-30)


def compare(ours, theirs):
    """Return the worst difference per kind of array, after making sure that both sides have the same arrays."""
    assert set(ours) == set(theirs), set(ours) ^ set(theirs)
    worst = {}
    for name in theirs:
        kind = name if name.startswith("losses") else name.split("/")[0]
        error = difference(ours[name], theirs[name], name)
        if error >= worst.get(kind, (-1.0, ""))[0]:
            worst[kind] = (error, name)
    return worst


def compare_case(name, dtype):
    """Run both sides on one case; print the table; return whether all is within tolerance."""
    images, targets = cases.images_and_targets(name)
    model = cases.build(name, dtype)
    twin = torchvision_side.twin_of(model)
    start = time.perf_counter()
    worst = compare(cases.stages_of(model, images), torchvision_side.stages_of(twin, images))
    if dtype == "float64":      # in float32 a near-tie in the samples changes the losses by percents
        seed = cases.CASES[name].sample_seed
        worst.update(compare(cases.training_of(model, images, targets, seed),
                             torchvision_side.training_of(twin, images, targets, seed)))
    print(f"\n{name}, {dtype} ({time.perf_counter() - start:.1f} s)")
    for kind, (error, which) in worst.items():
        flag = "" if error <= TOLERANCE[dtype] else "   <-- beyond tolerance"
        print(f"  {kind:32s} {error:8.1e}  {which if which != kind else ''}{flag}")
    return all(error <= TOLERANCE[dtype] for error, _ in worst.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(cases.CASES))
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    arguments = parser.parse_args()
    torchvision_side.torch.set_num_threads(arguments.threads)
    fine = [compare_case(name, dtype) for name in arguments.cases for dtype in cases.CASES[name].dtypes]
    sys.exit(0 if all(fine) else 1)
