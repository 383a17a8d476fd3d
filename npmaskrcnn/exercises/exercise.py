"""What an exercise consists of: data, so that a new one is a text, a stub and a few small inputs."""

from typing import Callable, NamedTuple


class Case(NamedTuple):
    """One input on which an answer is compared with the truth."""

    about: str          # what is tried, in words: "windows that overlap"
    inputs: dict        # argument -> value, in the order of the signature
    hint: str = ""      # what a wrong answer on this case usually comes from


class Exercise(NamedTuple):
    """A function to write."""

    name: str
    statement: str      # Markdown: what to compute, and its rule
    stub: str           # the function's head, with `...` for its body
    outputs: tuple      # names of what it returns
    reference: Callable     # (**inputs) -> the right answer; the package's operation
    cases: Callable     # () -> list of Case, small and readable ones first
    tolerance: float = 1e-9     # relative to the largest number of the right answer
    hints: tuple = ()   # one after the other, each says a little more
