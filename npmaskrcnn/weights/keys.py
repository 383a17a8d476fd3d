"""Names of torchvision's weights that have changed since files were published.

Until 2022 a convolution of the pyramid, the RPN head and the mask head stood alone; since then each is
wrapped, with an optional norm and activation, in a container whose first child (`.0`) it is. Files from
before, the best-known COCO weights among them, have the old names. Other names show how a model was wrapped when it
was saved: as a whole (``module.backbone``, several GPUs) or a part of it (``backbone._orig_mod.body``, compiled).
"""

import re

from ..errors import InputError, warn
from .wrappers import split_prefix, what_was_taken

OLD_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
    (re.compile(r"^(roi_heads\.mask_head)\.mask_fcn([1-9])\.(weight|bias)$"),
     lambda match: f"{match[1]}.{int(match[2]) - 1}.0.{match[3]}"),
)
WRAPPED_PART = re.compile(r"\b_(orig_mod|checkpoint_wrapped_module|fsdp_wrapped_module)\.")


def new_name(name):
    """Return today's name of a weight.

    >>> new_name("backbone.fpn.inner_blocks.2.weight"), new_name("rpn.head.conv.bias")
    ('backbone.fpn.inner_blocks.2.0.weight', 'rpn.head.conv.0.0.bias')
    >>> new_name("roi_heads.mask_head.mask_fcn4.weight"), new_name("rpn.head.conv.0.0.bias")
    ('roi_heads.mask_head.3.0.weight', 'rpn.head.conv.0.0.bias')
    """
    name = WRAPPED_PART.sub("", name)
    for pattern, replacement in OLD_NAMES:
        name = pattern.sub(replacement, name)
    return name


def rename_old_keys(state, name="the state dict"):
    """Give a state dict today's names, without a prefix.

    Parameters
    ----------
    state : mapping of str to ndarray
    name : str
        What a warning calls it.

    Returns
    -------
    renamed : dict of str to ndarray
        The same arrays in the same order, without those that are not of the model (see `wrappers.split_prefix`).

    Raises
    ------
    InputError
        If old and new name of one weight are both there, or they are another framework's.

    Warns
    -----
    InputWarning
        Saying how many names were old, unless none was, and what prefix they had, unless none.
    """
    prefix, state, left_out = split_prefix(state)
    if prefix:
        warn(f"{name}: {what_was_taken(len(state), '', prefix, left_out)}")
    renamed = {}
    for key, array in state.items():
        if new_name(key) in renamed:
            raise InputError(f"{new_name(key)!r} is there under an old and a new name; expected one of them")
        renamed[new_name(key)] = array
    old = [key for key in state if new_name(key) != key]
    if old:
        warn(f"{name}: {len(old)} old key names were renamed, the first {old[0]!r} to {new_name(old[0])!r}")
    return renamed
