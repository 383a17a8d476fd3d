"""Small words of messages and captions: one box, two boxes, no box; a value, or the beginning of a long one."""


def count(number, noun):
    """A counted noun.

    >>> count(1, "box"), count(4092, "anchor"), count(0, "detection")
    ('1 box', '4,092 anchors', 'no detection')
    """
    plural = noun if number <= 1 else noun + ("es" if noun.endswith(("x", "ss")) else "s")
    return f"{number:,} {plural}" if number else f"no {noun}"


def short(value, most=60):
    """What a message shows of a value: an array's shape and type, the beginning of what is long.

    >>> short("abc"), short([0] * 100, most=12)
    ("'abc'", '[0, 0, 0,...')
    """
    text = f"an array of shape {value.shape}, {value.dtype}" if getattr(value, "ndim", 0) else repr(value)
    return text if len(text) <= most else f"{text[:most - 3]}..."
