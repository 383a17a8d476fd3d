"""A clinic for trainings: ten that went wrong, each in its own way, to be examined and understood.

A training that is broken seldom says so: it runs, its losses fall, and what comes out is bad. Here are ten patients,
each with one fault in an otherwise healthy training of the tiny model, and a healthy one to compare with. `patient`
shows what the owner complains of and what a stored run looks like; hints come one by one, in the order in which one
would look; the diagnosis comes when it is asked for. ``with infect(name):`` makes any training in the block ill, so
that one can look oneself.

>>> ill = patient("anna")
>>> print(ill.complaint)                                                        # doctest: +ELLIPSIS
Everything went ...
"""

from .case import HEALTHY, Patient, infect, patient
from .patients import PATIENTS
from .runs import Run, the_picture

__all__ = ["HEALTHY", "PATIENTS", "Patient", "Run", "infect", "patient", "the_picture"]
