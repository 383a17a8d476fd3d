"""The log of a training: one row a step, in memory and in a CSV file that any tool can plot.

The losses say whether the model learns; the other columns say why not. The norm of the gradient, part by
part, shows where the signal dies or explodes. The ratio of update to weight shows how far a part walks in one
step: about a thousandth is healthy, a millionth means that it stands still, a tenth that it forgets.
"""

import csv
import io
import math
import os
import time

import numpy as np

from ..errors import InputError, warn
from ..files import atomic_writer, read_text
from .loop import Listener
from .optimizers import squared_length

# Names of the model's parts, and what the paths of their parameters begin with.
PARTS = {"body": "backbone.body.", "fpn": "backbone.fpn.", "rpn": "rpn.", "box_head": "roi_heads.box_",
         "mask_head": "roi_heads.mask_", "head": "head.", "prototypes": "prototypes."}


def log_columns(model):
    """Return the columns of ``log.csv``: for the losses and the parts that a model has."""
    paths = [path for path, _ in model.named_parameters()]
    parts = [part for part, prefix in PARTS.items() if any(path.startswith(prefix) for path in paths)]
    return ("step", "seconds", "learning_rate", *model.loss_names, "loss_total", "grad_norm",
            *(f"grad_norm_{part}" for part in parts), *(f"update_ratio_{part}" for part in parts))


def ap_columns(iou_types):
    """Return the columns of ``validation.csv``, where these are measured: "bbox", "segm" or both."""
    return ("step", "seconds", *(f"{kind}_{name}" for kind in iou_types
                                 for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")))


class Record(Listener):
    """Measures a step, and writes its row into the log of a `Trainer`."""

    def begin(self):
        """Start the clock."""
        self.began = time.perf_counter()

    def differentiated(self, trainer, batch):
        """Measure the gradients, part by part, before they are clipped."""
        self.norms = by_part({path: squared_length(p.grad) for path, p in trainer.optimizer.parameters.items()
                              if p.grad is not None})

    def clipped(self, trainer, batch):
        """Keep the weights, so that the length of the step can be told."""
        self.before = {path: p.data.copy() for path, p in trainer.optimizer.parameters.items()}

    def stepped(self, trainer, batch):
        """Write the row."""
        total = sum(trainer.loss_weights[name] * value for name, value in batch.losses.items())
        ratios = update_ratios(self.before, trainer.optimizer.parameters)
        self.before = None
        trainer.seconds += time.perf_counter() - self.began
        self.row = dict(step=trainer.step, seconds=round(trainer.seconds, 3), learning_rate=trainer.optimizer.lr,
                        **batch.losses, loss_total=total, grad_norm=batch.grad_norm,
                        **{f"grad_norm_{part}": self.norms.get(part, 0.0) for part in PARTS},
                        **{f"update_ratio_{part}": ratios.get(part, 0.0) for part in PARTS})
        trainer.log.append(**self.row)


class Log:
    """Rows of numbers under fixed column names, kept in step with a CSV file.

    Parameters
    ----------
    columns : sequence of str
    path : path or None
        The file; None keeps the log in memory only.

    Examples
    --------
    >>> log = Log(("step", "loss_total"))
    >>> log.append(step=1, loss_total=3.5)
    >>> log.append(step=2, loss_total=3.0)
    >>> log.arrays()["loss_total"]
    array([3.5, 3. ])
    """

    def __init__(self, columns, path=None):
        self.columns, self.path, self.rows = tuple(columns), path, []
        self.is_in_file = False     # all rows but the one that is being added

    def __len__(self):
        return len(self.rows)

    def append(self, **values):
        """Add a row, in memory and at the end of the file."""
        self.rows.append([values[name] for name in self.columns])
        if self.path is None:
            return
        lines = io.StringIO()
        csv.writer(lines).writerows(self.rows[-1:] if self.is_in_file else [self.columns, *self.rows])
        with open(self.path, "ab") if self.is_in_file else atomic_writer(self.path) as file:
            file.write(lines.getvalue().encode())
        self.is_in_file = True

    def arrays(self):
        """Return a dict of column name to ``(rows,)`` float ndarray."""
        table = np.array(self.rows, np.float64).reshape(len(self.rows), len(self.columns))
        return dict(zip(self.columns, table.T.copy()))

    def continue_from(self, step):
        """Take up the rows of an earlier run, without those after `step`, which will be done again.

        Its file is replaced, whole, when the next row comes.
        """
        if self.path is None or not os.path.exists(self.path):
            return
        try:
            earlier = read_log(self.path)
        except InputError as error:     # a power failure may leave it empty, or full of zeros
            warn(f"{error}; it is kept as {self.path}.old, and the log begins anew")
            self.put_aside()
            return
        if tuple(earlier) != self.columns:
            return  # another program's file of the same name: begin anew
        self.rows = [[int(done), *values] for done, *values in zip(*(column.tolist() for column in earlier.values()))
                     if done <= step]

    def put_aside(self):
        """Keep the file of a run that stopped before its first checkpoint, and is begun anew, as ``....csv.old``."""
        if self.path is not None and os.path.exists(self.path):
            os.replace(self.path, f"{self.path}.old")


def read_log(path):
    """Read a log file.

    Parameters
    ----------
    path : str or path
        ``log.csv`` or ``validation.csv`` of a training.

    Returns
    -------
    log : dict of str to (rows,) float ndarray

    Raises
    ------
    InputError
        If there is no such file, or it is not a table of numbers. (A last line without a line end is no row yet.)
    """
    lines = read_text(path, "a training log")
    lines = lines[:lines.rfind("\n") + 1].splitlines()     # without a line that a kill, or a full disk, cut off
    try:
        header, *rows = csv.reader(lines)
        table = np.array([[float(value) for value in row] for row in rows if row]).reshape(-1, len(header))
    except (ValueError, csv.Error):
        raise InputError(f"{path}: not a training log; expected column names, then rows of numbers") from None
    return dict(zip(header, table.T.copy()))


def by_part(values):
    """Combine lengths of vectors: squared lengths by parameter path become lengths by part of the model.

    Parameters
    ----------
    values : dict of str to float

    Returns
    -------
    lengths : dict of str to float
        One for each of `PARTS` that has any of the values.
    """
    parts = {part: [value for path, value in values.items() if path.startswith(prefix)]
             for part, prefix in PARTS.items()}
    return {part: math.sqrt(sum(own)) for part, own in parts.items() if own}


def update_ratios(before, parameters):
    """Return, part by part, how long a step was against the weights that it changed; `before` is used up."""
    weights = by_part({path: squared_length(value) for path, value in before.items()})
    for path, value in before.items():
        value -= parameters[path].data
    updates = by_part({path: squared_length(value) for path, value in before.items()})
    return {part: updates[part] / weights[part] if weights[part] else 0.0 for part in updates}
