"""Small words of messages and captions: one box, two boxes, no box; a value, or the beginning of a long one."""

import re

# Control characters, which would move the cursor of a terminal or break a line; line separators; characters that turn
# the direction of writing for what follows; halves of characters, which no stream takes.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def count(number, noun):
    """A counted noun.

    >>> count(1, "box"), count(4092, "anchor"), count(0, "detection")
    ('1 box', '4,092 anchors', 'no detection')
    """
    plural = noun if number <= 1 else noun + ("es" if noun.endswith(("x", "ss", "ch")) else "s")
    return f"{number:,} {plural}" if number else f"no {noun}"


def short(value, most=60):
    """What a message shows of a value: an array's shape and type, the beginning of what is long.

    >>> short("abc"), short([0] * 100, most=12)
    ("'abc'", '[0, 0, 0,...')
    """
    text = f"an array of shape {value.shape}, {value.dtype}" if getattr(value, "ndim", 0) else repr(value)
    return text if len(text) <= most else f"{text[:most - 3]}..."


def printable(text, most=None):
    """A text that comes from a file, such as the name of a class, as it may stand in a table or a figure.

    As it is, but what cannot be printed is escaped; and no longer than `most` characters.

    >>> printable("a$_$"), printable("two\\nlines"), printable("much too long", most=8)
    ('a$_$', 'two\\\\nlines', 'much to…')
    """
    text = UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))
    return text if most is None or len(text) <= most else f"{text[:most - 1]}…"
