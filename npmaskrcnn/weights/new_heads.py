"""From published weights to one's own classes: everything is kept but the layers that name classes.

A model that was trained on many photographs has learned to see edges, textures, parts and outlines; only its
last layers are about the classes that it was trained for. So one who has few pictures keeps all of it, draws
those last layers anew for other classes, and trains from there (transfer learning; Girshick et al. 2014, 3).
"""

from .. import models
from ..errors import InputError
from ..judge import judge_known
from ..light.pruning import judge_trainable
from .model_files import load
from .rebuild import HOMES

# Mask R-CNN's three, that of a variant with masks from linear layers, and that of the models in `others`
CLASS_LAYERS = ("roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred",
                "roi_heads.mask_predictor.mask_fcn_logits", "roi_heads.mask_predictor.mask_fc_logits",
                "head.cls_logits")


def load_with_new_heads(path, num_classes, rng=None, **config):
    """Load a weight file into a model of other classes, whose last layers are random.

    Parameters
    ----------
    path : str or path
        As for `load`.
    num_classes : int
        With background.
    rng : np.random.Generator, optional
        Draws the layers of `CLASS_LAYERS`; ``default_rng(0)`` if absent.
    **config
        Options that the model shall have in place of the file's, such as ``min_size=256``.

    Returns
    -------
    model : MaskRCNN, or what else the file's is
        Without class names: a training gives it the dataset's.

    Raises
    ------
    InputError
        If the file cannot be read or has weights of int8, or an option does not exist or makes a model that the file
        does not fit.
    """
    stored = load(path)
    judge_trainable(stored, path)
    builder, settings = stored.architecture["builder"], stored.architecture["config"]
    judge_known(config, settings, f"option of {builder}")
    options = {**settings, **models.with_room(builder, config)}
    model = getattr(HOMES[builder], builder)(num_classes=num_classes, rng=rng, **options)
    kept = {key: array for key, array in stored.state_dict().items() if not key.startswith(CLASS_LAYERS)}
    report = model.load_state_dict(kept, strict=False)
    if (report.wrong_shape or report.unexpected
            or any(not name.startswith(CLASS_LAYERS) for name in report.missing)):
        raise InputError(f"{path}: its weights do not fit a model with {config}: {report}")
    model.untrained = True
    return model
