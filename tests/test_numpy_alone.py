"""Where SciPy, Pillow and matplotlib are missing, as in a browser: prediction, trace and training step, on NumPy alone.

What a process without the three computes is held against this process, which has them.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn.datasets.shapes import the_image
from npmaskrcnn.shipped import trained_tiny

CHECKOUT = Path(npmaskrcnn.__file__).resolve().parents[1]
WITHOUT = "import sys; sys.modules.update(scipy=None, PIL=None, matplotlib=None)\n"
PROGRAM = WITHOUT + """
import numpy as np
from npmaskrcnn import ops
from npmaskrcnn.plain import roi_align
sys.path.insert(0, "tests")
import test_numpy_alone

assert ops._in_use["roi_align_forward"] is roi_align.roi_align_forward
np.savez(sys.argv[1], **test_numpy_alone.answers())
"""


def answers():
    """Return what the trained tiny model says: of an image of its own size, and of one that has to be resized."""
    model = trained_tiny()
    image, target = the_image()
    arrays = {}
    for name, seen in {"as it is": image, "resized": image[8:104, :, :]}.items():
        found = model.predict(seen)
        arrays.update({f"{name}, {field}": getattr(found, field) for field in ("boxes", "labels", "scores", "masks")})
    trace = model.trace(image, target, np.random.default_rng(0))
    arrays["pooled features"] = trace.box_features[:20]
    losses = model.loss_and_grads([image], [target], np.random.default_rng(0), batch_statistics=False)
    arrays.update(losses)
    arrays.update({f"gradient of {key}": gradient for key, gradient in model.grad_dict().items()})
    return arrays


def run(program, *arguments):
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=CHECKOUT, capture_output=True, text=True,
                          timeout=120)


def test_predictions_losses_and_gradients_are_the_usual_ones(tmp_path):
    result = run(PROGRAM, str(tmp_path / "alone.npz"))
    assert result.returncode == 0, result.stderr
    usual = answers()
    assert len(usual["as it is, boxes"]) >= 3 and len(usual["resized, boxes"]) >= 2
    with np.load(tmp_path / "alone.npz") as alone:
        assert set(alone) == set(usual)
        for name, array in usual.items():
            # The sums go in another order. Positions of about 100 pixels are rounded at 8e-6 by float32 itself, and a
            # mask falls from 1 to 0 within a pixel or two: so far a box and its mask may be off, three roundings.
            tolerance = 3e-5 if name.endswith(("boxes", "masks")) else 1e-5 * max(np.abs(array).max(initial=0), 1e-3)
            np.testing.assert_allclose(alone[name], array, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("work", ["datasets", "training", "evaluation", "exercises"])
def test_what_reads_no_pictures_can_be_imported(work):
    result = run(WITHOUT + f"import npmaskrcnn.{work}")
    assert result.returncode == 0, result.stderr


def test_a_picture_file_is_refused_with_the_reason():
    result = run(WITHOUT + "from npmaskrcnn.images import read_image; read_image('data/shapes/000000.png')")
    *_, last = result.stderr.splitlines()
    assert last == ("npmaskrcnn.errors.InputError: data/shapes/000000.png: picture files are read by Pillow, which is "
                    "not installed")
