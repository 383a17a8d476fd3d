"""A formula as a drawing in the page: TeX goes in, an SVG comes out.

A browser cannot set TeX by itself, and the scripts that can would have to be loaded from somewhere. matplotlib sets it
as it does on the axes of a figure, and hands out the outlines of the glyphs; they take the color of the text around
them. For those who hear the page there are the same formula's words.
"""

import html
import re
from functools import cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from . import BookError

UNITS = 100         # of matplotlib's outlines in one em
FONT = FontProperties(size=UNITS, math_fontfamily="stix")
COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}     # the codes of matplotlib's paths, as SVG writes them
POINTS = {1: 1, 2: 1, 3: 2, 4: 3, 79: 1}

# What TeX knows and matplotlib does not, in what it does know.
IN_OTHER_WORDS = (
    (r"\\[bB]igg?l(?![a-z])", r"\\left"), (r"\\[bB]igg?r(?![a-z])", r"\\right"),
    (r"\\[td]frac(?![a-z])", r"\\frac"), (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
    (r"\\sqrt\s+(\w)", r"\\sqrt{\1}"), (r"\\operatorname(?![a-z])", r"\\mathrm"),
)
SPOKEN = {
    r"\cdot": " times ", r"\leftarrow": " becomes ", r"\to": " to ", r"\varepsilon": " epsilon ",
    r"\pm": " plus or minus ", "/": " over ",
    r"\leq": " at most ", r"\le": " at most ", r"\geq": " at least ", r"\ge": " at least ", r"\approx": " about ",
    r"\lfloor": " floor of ", r"\rfloor": " ", r"\left": "", r"\right": "", r"\qquad": " ", r"\quad": " ", "=": " is ",
    "-": " minus ", "+": " plus ", "<": " less than ", ">": " more than ", "_": " ", "&": " ",
}


@cache
def svg(tex, is_display=False):
    """Draw a formula.

    Parameters
    ----------
    tex : str
        Without the dollar signs.
    is_display : bool
        Whether it stands on a line of its own.

    Returns
    -------
    markup : str
        An ``<svg>``, in a ``<span>`` that scrolls if it stands on a line of its own.
    """
    if is_display:          # what stands side by side with much space between may also stand in two lines
        parts = " ".join(drawing(part, 1.15, r"\dfrac") for part in tex.split(r"\qquad"))
        return f'<span class="display">{parts}</span>'
    return drawing(tex, 1.03, r"\frac")     # a little larger than the text, whose letters are wider


def drawing(tex, size, fraction):
    """Draw a formula as an ``<svg>``, in letters of `size` em and with large or small fractions."""
    formula = f"${for_matplotlib(tex)}$".replace(r"\frac", fraction)
    try:
        points, codes = TextToPath().get_text_path(FONT, formula, ismath=True)
        width, _, _ = TextToPath().get_text_width_height_descent(formula, FONT, ismath=True)
    except ValueError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BookError(f"matplotlib cannot draw the formula ${tex}$: {reason}") from None
    points = np.reshape(points, (-1, 2))
    lowest, highest = (points[:, 1].min(), points[:, 1].max()) if len(points) else (0, UNITS)
    box = -2, -highest - 2, width + 4, highest - lowest + 4
    em = [f"{size * value / UNITS:.3f}em" for value in (box[2], box[3], lowest - 2)]
    return (f'<svg class="formula" role="img" aria-label="{html.escape(spoken(tex))}" style="width:{em[0]};'
            f'height:{em[1]};vertical-align:{em[2]}" viewBox="{" ".join(f"{number:.1f}" for number in box)}">'
            f'<path d="{outline(points, codes)}"></path></svg>')


def for_matplotlib(tex):
    """Write a formula with the commands that matplotlib knows."""
    for pattern, replacement in IN_OTHER_WORDS:
        tex = re.sub(pattern, replacement, tex)
    tex = re.sub(r"\\text\{([^{}]*)\}", lambda match: r"\mathrm{" + match[1].replace(" ", r"\ ") + "}", tex)
    return " ".join(tex.split())


def outline(points, codes):
    """Write a path of matplotlib as the ``d`` of an SVG path; there y points downwards."""
    pieces, i = [], 0
    while i < len(codes):
        command, count = COMMANDS[int(codes[i])], POINTS[int(codes[i])]
        pieces.append(command)
        if command != "Z":
            pieces.append(" ".join(f"{x:.1f} {-y:.1f}" for x, y in points[i:i + count]))
        i += count
    return "".join(pieces)


def spoken(tex):
    """Say a formula in words, roughly as one would on the telephone."""
    for pattern, replacement in IN_OTHER_WORDS:
        tex = re.sub(pattern, replacement, tex)
    tex = re.sub(r"\\hat\s*(\w)", r"\\hat{\1}", re.sub(r"\\[,;:! ]", " ", tex)).replace(r"\cdot)", "it)")
    before = None
    while tex != before:        # from the innermost braces outwards
        before = tex
        tex = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}",
                     lambda match: f" {grouped(match[1])} over {grouped(match[2])} ", tex)
        tex = re.sub(r"\\sqrt\{([^{}]*)\}", lambda match: f" root of {grouped(match[1])} ", tex)
        tex = re.sub(r"\\hat\{([^{}]*)\}", r" \1 hat ", tex)
        tex = re.sub(r"\\(?:text|mathrm)\{([^{}]*)\}", r" \1 ", tex)
        tex = re.sub(r"\^(?:\{([^{}]*)\}|(\w))", lambda match: raised(match[1] or match[2]), tex)
        tex = re.sub(r"_\{([^{}]*)\}", r" \1 ", tex)
    for command in sorted(SPOKEN, key=len, reverse=True):
        tex = tex.replace(command, SPOKEN[command])
    words = " ".join(re.sub(r"[{}\\]", " ", tex).split())
    return re.sub(r" (?=[,.)])|(?<=\() ", "", words)


def grouped(tex):
    """Put what is more than one thing into parentheses."""
    tex = tex.strip()
    return tex if re.fullmatch(r"\\?\w*", tex) else f"({tex})"


def raised(exponent):
    """Say an exponent."""
    return {"2": " squared ", "T": " transposed "}.get(exponent, f" to the power of {exponent} ")
