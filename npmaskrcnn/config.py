"""Every number that one may choose: names and defaults are those of torchvision's MaskRCNN constructor.

A `Config` is frozen; `make_config` fills it from keyword arguments and refuses what does not exist
(naming the nearest option that does) and what cannot be right (a threshold of 7, a batch of 0).
"""

import difflib
from dataclasses import asdict, dataclass, fields

from .errors import InputError


@dataclass(frozen=True)
class Config:
    """Options of the stages, in the order in which data flows; sizes in pixels of the resized image."""

    # transform
    min_size: object = 800                          # shorter side; a tuple: training draws one, inference takes the last
    max_size: int = 1333                            # bound on the longer side
    image_mean: tuple = (0.485, 0.456, 0.406)       # ImageNet's, of colours in 0..1
    image_std: tuple = (0.229, 0.224, 0.225)
    # anchors (Ren et al. 2015; Lin et al. 2017, 4.1)
    anchor_sizes: tuple = ((32,), (64,), (128,), (256,), (512,))    # per level P2..P6
    anchor_ratios: tuple = ((0.5, 1.0, 2.0),) * 5                   # height / width
    # RPN
    rpn_pre_nms_top_n_train: int = 2000             # per level
    rpn_pre_nms_top_n_test: int = 1000
    rpn_post_nms_top_n_train: int = 2000            # all levels together
    rpn_post_nms_top_n_test: int = 1000
    rpn_nms_thresh: float = 0.7
    rpn_fg_iou_thresh: float = 0.7                  # an anchor with IoU >= this must find the object
    rpn_bg_iou_thresh: float = 0.3                  # below this it is background
    rpn_batch_size_per_image: int = 256             # anchors sampled for the losses
    rpn_positive_fraction: float = 0.5
    rpn_score_thresh: float = 0.0
    # box head
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.5
    box_detections_per_img: int = 100
    box_fg_iou_thresh: float = 0.5
    box_bg_iou_thresh: float = 0.5
    box_batch_size_per_image: int = 512             # RoIs sampled for the losses
    box_positive_fraction: float = 0.25
    bbox_reg_weights: tuple = (10.0, 10.0, 5.0, 5.0)
    # RoI levels (Lin et al. 2017, Eq. 1)
    canonical_scale: float = 224                    # side of the box that is pooled from P`canonical_level`
    canonical_level: int = 4

    def as_dict(self):
        """Return the options as a dict that JSON can hold."""
        return asdict(self)


_FRACTIONS = {"rpn_nms_thresh", "rpn_fg_iou_thresh", "rpn_bg_iou_thresh", "rpn_positive_fraction",
              "rpn_score_thresh", "box_score_thresh", "box_nms_thresh", "box_fg_iou_thresh",
              "box_bg_iou_thresh", "box_positive_fraction"}
_POSITIVE = {"max_size", "rpn_batch_size_per_image", "box_batch_size_per_image", "canonical_scale"}
_COUNTS = {"rpn_pre_nms_top_n_train", "rpn_pre_nms_top_n_test", "rpn_post_nms_top_n_train",
           "rpn_post_nms_top_n_test", "box_detections_per_img", "canonical_level"}
_WHOLE = _COUNTS | {"max_size", "rpn_batch_size_per_image", "box_batch_size_per_image"}
NUM_LEVELS = 5


def is_number(value):
    """Whether `value` is a finite real number and no truth value."""
    try:
        return not isinstance(value, (bool, str)) and float("-inf") < float(value) < float("inf")
    except (TypeError, ValueError, OverflowError):
        return False


def check_fraction(name, value):
    """Raise `InputError` unless `value` is a number in 0..1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise InputError(f"{name} is {value!r}, but must be a number from 0 to 1")


MISPLACED = {       # what people give to a builder that does not take it, and where it belongs
    "weights": "npmaskrcnn.load(path) builds the model of a weight file, whatever its kind",
    "pretrained": "npmaskrcnn.load(path) builds the model of a weight file, whatever its kind",
    "class_names": "set model.class_names = ['background', ...] afterwards, or train: a model takes its dataset's",
    "classes": "num_classes is their number, background included; the names go into model.class_names",
    "seed": "give a generator, rng=np.random.default_rng(seed)",
}


def check_known(names, options, what):
    """Raise `InputError` for the first of `names` that is not among `options`, naming the nearest."""
    for name in names:
        if name not in options:
            near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.5)
            hint = f"the nearest is {near[0]!r}" if near else f"there are {', '.join(options)}"
            raise InputError(f"{name!r} is no {what}; {hint}")


def make_config(defaults=None, **options):
    """Build a checked `Config`.

    Parameters
    ----------
    defaults : dict
        Options that differ from torchvision's defaults in this builder.
    **options
        What the caller wants; wins over `defaults`.

    Raises
    ------
    InputError
        For an unknown option (naming the nearest) or a value out of range.
    """
    names = [field.name for field in fields(Config)]
    for name in options:
        if name in MISPLACED:
            raise InputError(f"{name!r} is no option of this builder; {MISPLACED[name]}")
    check_known(options, names, "option of the model")
    options = {name: plain(value) for name, value in {**(defaults or {}), **options}.items()}
    if options.get("bbox_reg_weights", 0) is None:              # torchvision's way to say "the default"
        del options["bbox_reg_weights"]
    config = Config(**options)
    for name in _FRACTIONS:
        check_fraction(name, getattr(config, name))
    for name in _POSITIVE | _COUNTS:
        value, least = getattr(config, name), 0 if name in _COUNTS else 1
        if not is_number(value) or value < least or (name in _WHOLE and value != int(value)):
            kind = "a whole number" if name in _WHOLE else "a number"
            raise InputError(f"{name} is {value!r}, but must be {kind} of at least {least}")
    _check_sizes(config)
    return config


def plain(value):
    """Turn NumPy's numbers into Python's and lists into tuples, so that a config read from JSON equals the one written."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(plain(v) for v in value) if isinstance(value, (list, tuple)) else value


def _check_sizes(config):
    sizes = config.min_size if isinstance(config.min_size, tuple) else (config.min_size,)
    if not sizes or not all(is_number(s) and s >= 1 for s in sizes):
        raise InputError(f"min_size is {config.min_size!r}, but must be a number of pixels of at least 1, or a tuple of them")
    for name, length in [("image_mean", 3), ("image_std", 3), ("bbox_reg_weights", 4)]:
        value = getattr(config, name)
        if not isinstance(value, tuple) or len(value) != length or not all(is_number(v) for v in value):
            raise InputError(f"{name} is {value!r}, but must be {length} numbers")
        if name != "image_mean" and min(value) <= 0:
            raise InputError(f"{name} is {value!r}, but its numbers must be positive")
    for name in ("anchor_sizes", "anchor_ratios"):
        value = getattr(config, name)
        if not isinstance(value, tuple) or len(value) != NUM_LEVELS or not all(
                isinstance(level, tuple) and level and all(is_number(v) and v > 0 for v in level) for level in value):
            raise InputError(f"{name} is {value!r}, but must be {NUM_LEVELS} tuples of positive numbers, "
                             "one for each level P2..P6")
    per_cell = {len(s) * len(r) for s, r in zip(config.anchor_sizes, config.anchor_ratios)}
    if len(per_cell) != 1:
        raise InputError("anchor_sizes and anchor_ratios give different numbers of anchors per cell on different "
                         f"levels ({sorted(per_cell)}), but one RPN head serves all levels")
    if config.rpn_bg_iou_thresh > config.rpn_fg_iou_thresh or config.box_bg_iou_thresh > config.box_fg_iou_thresh:
        raise InputError("a background IoU threshold (rpn_bg_iou_thresh, box_bg_iou_thresh) is above its "
                         "foreground threshold")
