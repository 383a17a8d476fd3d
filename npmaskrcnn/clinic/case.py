"""A patient of the clinic: the complaint, the stored run beside a healthy one, hints one by one, and the diagnosis."""

import contextlib
from dataclasses import dataclass

from ..judge import judge_known
from .patients import PATIENTS
from .runs import Run, load_run, the_picture

HEALTHY = "healthy"     # the name of the control


@dataclass
class Patient:
    """What a learner is given.

    Attributes
    ----------
    name, complaint : str
        The complaint is what the owner of the training says; it is no diagnosis.
    run, healthy : Run
        The stored training with the fault, and one without that differs in nothing else.
    hints : list of str
        The findings, in the order in which one would look.
    stage, diagnosis, cure : str
        Where the fault sits, what it is, and what helps.
    num_read : int
        Hints that `next_hint` has given so far.
    """

    name: str
    complaint: str
    run: Run
    healthy: Run
    hints: list
    stage: str
    diagnosis: str
    cure: str
    num_read: int = 0

    def __repr__(self):
        return f"{self.name}: {self.complaint}"

    def next_hint(self):
        """Return the next of the hints; after the last one, say that there are no more."""
        if self.num_read == len(self.hints):
            return "that was the last hint; the answer is in .diagnosis"
        self.num_read += 1
        return self.hints[self.num_read - 1]

    def figure(self, class_names=None):
        """Draw the losses over the healthy ones, the picture at three moments, and average precision."""
        from ..plots import case_sheet      # matplotlib, which no command needs to begin

        image, target = the_picture()
        return case_sheet(self.name, self.run, self.healthy, image, target, class_names)


def patient(name):
    """Return a patient of the clinic.

    Parameters
    ----------
    name : str
        One of `PATIENTS`.

    Returns
    -------
    Patient

    Raises
    ------
    InputError
        For an unknown name, naming the nearest.
    """
    judge_known([name], list(PATIENTS), "patient of the clinic")
    case, run, healthy = PATIENTS[name], load_run(name), load_run(HEALTHY)
    hints = [finding.format(ill=run, well=healthy) for finding in case.findings]
    return Patient(name, case.complaint, run, healthy, hints, case.stage, case.diagnosis, case.cure)


def infect(name):
    """Return a context in which every training and every prediction of the process has a patient's fault.

    Parameters
    ----------
    name : str
        One of `PATIENTS`, or ``"healthy"``, with which nothing happens.

    Returns
    -------
    context manager

    Raises
    ------
    InputError
        For an unknown name, naming the nearest.

    Examples
    --------
    >>> from npmaskrcnn.training import train
    >>> with infect("anna"):
    ...     trainer = train(maskrcnn_tiny(), ShapesDataset(2000), 100)          # doctest: +SKIP
    """
    judge_known([name], [*PATIENTS, HEALTHY], "patient of the clinic")
    return contextlib.nullcontext() if name == HEALTHY else PATIENTS[name].fault()
