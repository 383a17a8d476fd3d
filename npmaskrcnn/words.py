"""Small words of messages and captions: one box, two boxes, no box."""


def count(number, noun):
    """A counted noun.

    >>> count(1, "box"), count(4092, "anchor"), count(0, "detection")
    ('1 box', '4,092 anchors', 'no detection')
    """
    plural = noun if number <= 1 else noun + ("es" if noun.endswith(("x", "ss")) else "s")
    return f"{number:,} {plural}" if number else f"no {noun}"
