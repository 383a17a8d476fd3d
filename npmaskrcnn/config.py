"""Every number that one may choose: names and defaults are those of torchvision's MaskRCNN constructor.

Each option stands with what it may be. A `Config` is frozen; `make_config` fills it from keyword arguments and
refuses what does not exist (naming the nearest option that does) and what cannot be right (a threshold of 7, a
batch of 0).
"""

from dataclasses import asdict, dataclass, field, fields
from functools import partial

from .errors import InputError
from .judge import is_number, judge_fraction, judge_known, judge_number, judge_numbers, refusal


def _judge_sides(value, name):
    if value == ():
        raise refusal(name, "a number of pixels of at least 1, or a tuple of them", value)
    if isinstance(value, tuple):
        return judge_numbers(value, name, len(value), lowest=1)
    return judge_number(value, name, 1)


LARGEST_NUMBER, MOST_NUMBERS = 1 << 16, 200     # torchvision's largest is 2000; numbers in one option


def _judge_levels(value, name):
    if not isinstance(value, tuple) or not all(
            isinstance(level, tuple) and level and all(is_number(v) and v > 0 for v in level) for level in value):
        raise refusal(name, "tuples of positive numbers, one for each level", value)
    return value


def _judge_modesty(value, name):
    """InputError for numbers that no model needs: a file that asks for such a model is refused as well."""
    numbers = value if isinstance(value, tuple) else (value,)
    numbers = [number for level in numbers for number in (level if isinstance(level, tuple) else (level,))]
    if len(numbers) > MOST_NUMBERS or any(abs(number) > LARGEST_NUMBER for number in numbers):
        several = f"{MOST_NUMBERS} numbers, none above " if isinstance(value, tuple) else ""
        raise refusal(name, f"at most {several}{LARGEST_NUMBER:,}", value)


def _option(default, judge=judge_fraction):
    return field(default=default, metadata={"judge": judge})


_COUNT = partial(judge_number, lowest=0, whole=True)
_POSITIVE_COUNT = partial(judge_number, lowest=1, whole=True)


@dataclass(frozen=True)
class Config:
    """Options of the stages, in the order in which data flows; sizes in pixels of the resized image.

    An option with no other range beside it is a fraction, from 0 to 1.
    """

    # transform
    min_size: object = _option(800, _judge_sides)           # shorter side; of a tuple, training draws one,
    max_size: int = _option(1333, _POSITIVE_COUNT)          # inference takes the last; bound on the longer side
    image_mean: tuple = _option((0.485, 0.456, 0.406), partial(judge_numbers, count=3))     # of colors in 0..1
    image_std: tuple = _option((0.229, 0.224, 0.225), partial(judge_numbers, count=3, above=0))
    # anchors (Ren et al. 2015; Lin et al. 2017, 4.1), per level P2..P6; ratios are height / width
    anchor_sizes: tuple = _option(((32,), (64,), (128,), (256,), (512,)), _judge_levels)
    anchor_ratios: tuple = _option(((0.5, 1.0, 2.0),) * 5, _judge_levels)
    # RPN
    rpn_pre_nms_top_n_train: int = _option(2000, _COUNT)    # per level
    rpn_pre_nms_top_n_test: int = _option(1000, _COUNT)
    rpn_post_nms_top_n_train: int = _option(2000, _COUNT)   # all levels together
    rpn_post_nms_top_n_test: int = _option(1000, _COUNT)
    rpn_nms_thresh: float = _option(0.7)
    rpn_fg_iou_thresh: float = _option(0.7)                 # an anchor with IoU >= this must find the object
    rpn_bg_iou_thresh: float = _option(0.3)                 # below this it is background
    rpn_batch_size_per_image: int = _option(256, _POSITIVE_COUNT)   # anchors sampled for the losses
    rpn_positive_fraction: float = _option(0.5)
    rpn_score_thresh: float = _option(0.0)
    # box head
    box_score_thresh: float = _option(0.05)
    box_nms_thresh: float = _option(0.5)
    box_detections_per_img: int = _option(100, _COUNT)
    box_fg_iou_thresh: float = _option(0.5)
    box_bg_iou_thresh: float = _option(0.5)
    box_batch_size_per_image: int = _option(512, _POSITIVE_COUNT)   # RoIs sampled for the losses
    box_positive_fraction: float = _option(0.25)
    bbox_reg_weights: tuple = _option((10.0, 10.0, 5.0, 5.0), partial(judge_numbers, count=4, above=0))
    # RoI levels (Lin et al. 2017, Eq. 1)
    canonical_scale: float = _option(224, partial(judge_number, lowest=1))    # side of the box that is pooled from ...
    canonical_level: int = _option(4, _COUNT)                           # ... this level

    def as_dict(self):
        """Return the options as a dict that JSON can hold."""
        return asdict(self)


MISPLACED = {       # what people give to a builder that does not take it, and where it belongs
    "weights": "npmaskrcnn.load(path) builds the model of a weight file, whatever its kind",
    "pretrained": "npmaskrcnn.load(path) builds the model of a weight file, whatever its kind",
    "class_names": "set model.class_names = ['background', ...] afterwards, or train: a model takes its dataset's",
    "classes": "num_classes is their number, background included; the names go into model.class_names",
    "seed": "give a generator, rng=np.random.default_rng(seed)",
}


def make_config(defaults=None, num_levels=5, **options):
    """Build a checked `Config`.

    Parameters
    ----------
    defaults : dict
        Options that differ from torchvision's defaults in this builder.
    num_levels : int
        Of the pyramid: as many as there are tuples of anchor sizes and ratios.
    **options
        What the caller wants; wins over `defaults`.

    Raises
    ------
    InputError
        For an unknown option (naming the nearest) or a value out of range.
    """
    for name in options:
        if name in MISPLACED:
            raise InputError(f"{name!r} is no option of this builder; {MISPLACED[name]}")
    judge_known(options, [option.name for option in fields(Config)], "option of the model")
    options = {name: as_plain(value) for name, value in {**(defaults or {}), **options}.items()}
    if options.get("bbox_reg_weights", 0) is None:              # torchvision's way to say "the default"
        del options["bbox_reg_weights"]
    judges = {option.name: option.metadata["judge"] for option in fields(Config)}
    config = Config(**{name: judges[name](value, name) for name, value in options.items()})
    for name in options:
        _judge_modesty(getattr(config, name), name)
    for name in ("anchor_sizes", "anchor_ratios"):
        if len(getattr(config, name)) != num_levels:
            raise refusal(name, f"{num_levels} tuples, one for each level P2..P{num_levels + 1}", getattr(config, name))
    per_cell = {len(sizes) * len(ratios) for sizes, ratios in zip(config.anchor_sizes, config.anchor_ratios)}
    if len(per_cell) != 1:
        raise InputError("anchor_sizes and anchor_ratios give different numbers of anchors per cell on different "
                         f"levels ({sorted(per_cell)}), but one RPN head serves all levels")
    if config.rpn_bg_iou_thresh > config.rpn_fg_iou_thresh or config.box_bg_iou_thresh > config.box_fg_iou_thresh:
        raise InputError("a background IoU threshold (rpn_bg_iou_thresh, box_bg_iou_thresh) is above its "
                         "foreground threshold")
    return config


def as_plain(value):
    """Turn NumPy's numbers into Python's and lists into tuples: a config read from JSON equals the one written."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(as_plain(v) for v in value) if isinstance(value, (list, tuple)) else value
