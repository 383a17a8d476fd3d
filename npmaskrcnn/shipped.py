"""The files that come with the package: trained weights of the tiny model, and a few images of shapes.

In a checkout they are in ``data/`` beside the package; in an installed wheel they are inside it. Either way
`data_file` finds them, so the demo runs anywhere.
"""

from pathlib import Path

from .errors import InputError
from .judge import judge_known, judge_number
from .weights import load

EARLY_STEPS = (100, 400)
TRAINED_VARIANTS = ("roi_pool", "unaligned", "softmax", "no_top_down")


def data_file(name):
    """Return the path of a shipped file.

    Parameters
    ----------
    name : str
        Relative to ``data/``, such as ``"tiny.npz"`` or ``"shapes/instances.json"``.

    Raises
    ------
    InputError
        If there is no such file.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"data/{name} is not where it should be, beside or inside {here}; install the package again")


def trained_tiny(step=None):
    """Load the tiny model that was trained on toy shapes.

    Parameters
    ----------
    step : int, optional
        One of the early checkpoints of the same training, 100 or 400; the finished model if absent.

    Returns
    -------
    MaskRCNN

    Raises
    ------
    InputError
        If there is no such step.
    """
    step = judge_number(step, "step", whole=True, optional=True)
    if step not in (None, *EARLY_STEPS):
        raise InputError(f"step must be 100 or 400, or left out for the finished model, got {step!r}")
    return load(data_file("tiny.npz" if step is None else f"tiny-step-{step}.npz"))


def trained_variant(name):
    """Load a variant of the tiny model that was trained as ``notebooks/scripts/parts.py`` does it (seed 0).

    Its numbers are rounded to float16, and it computes in float32.

    Parameters
    ----------
    name : {"roi_pool", "unaligned", "softmax", "no_top_down"}
        Of `variants.VARIANTS`. The first three know the toy shapes, the last one dots in and out of rings.

    Returns
    -------
    MaskRCNN

    Raises
    ------
    InputError
        If there is no such variant.
    """
    judge_known([name], list(TRAINED_VARIANTS), "variant with trained weights")
    return load(data_file(f"variant-{name}.npz"))
