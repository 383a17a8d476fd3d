"""``npmaskrcnn clinic``: trainings that went wrong, to be examined and understood.

Without NAME it lists the patients and what their owners complain of. With NAME it shows one: the complaint, numbers
beside those of a healthy training, and a figure, NAME.png, with the losses, a picture at three moments and average
precision. --hints N gives the first N hints, in the order in which one would look, with numbers of the stored training;
--diagnosis says what it is.

example: npmaskrcnn clinic anna --hints 1
"""

from ..clinic import PATIENTS, patient
from ..clinic.patients import CLASS_NAMES, ONLY_IN_TRAINING
from ..errors import InputError
from ..files import make_folder
from ..judge import judge_number
from ..network import LOSS_NAMES
from .common import add_out

SOURCE = "\n(numbers in hints: of the stored training, its log, and a trace of the picture by its weights at the end)"
LOOK = """
to see the fault at work, in Python and without a training. The weights are those of the shipped model, which is healthy
and not the patient's: so you will see what the fault does, and other numbers than in the hints.
  from npmaskrcnn import clinic, shipped
  image, target = clinic.the_picture()
  with clinic.infect("{name}"):
      trace = shipped.trained_tiny().trace(image, target, 0)      # 0: the seed of the samples"""


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a patient (default: list them)")
    parser.add_argument("--hints", type=int, default=0, metavar="N", help="give the first N hints (default: none)")
    parser.add_argument("--diagnosis", action="store_true", help="say what it is, and what helps")
    add_out(parser, "npmaskrcnn-clinic")


def run(options):
    """List or show."""
    judge_number(options.hints, "--hints", 0, whole=True)
    if options.name is None and (options.hints or options.diagnosis):
        raise InputError(f"{'--hints' if options.hints else '--diagnosis'} goes with NAME, a patient; without options "
                         "they are listed")
    if options.name is None:
        for name, case in PATIENTS.items():
            print(f"{name:<7}{case.complaint}")
        return
    ill = patient(options.name)
    _show(ill, make_folder(options.out, "--out") / f"{ill.name}.png", options)


def _show(ill, path, options):
    from ..plots import save_figure
    from ..plots.case import APS, CURVES

    print(f"{ill}\n\n{'at the end':<40}{ill.name:>9}{'healthy':>9}")
    ends = [(f"{title:<22}{name}", ill.run.end[name], ill.healthy.end[name]) for name, title in CURVES.items()
            if name in LOSS_NAMES]
    ends += [(title, ill.run.ap[name], ill.healthy.ap[name]) for name, title in APS.items()]
    for title, own, healthy in ends:
        print(f"{title:<40}{own:9.3f}{healthy:9.3f}")
    if options.hints:
        print(SOURCE)
    for number in range(min(options.hints, len(ill.hints))):
        print(f"\nhint {number + 1} of {len(ill.hints)}: {ill.next_hint()}")
    if options.hints and ill.stage not in ONLY_IN_TRAINING:
        print(LOOK.format(name=ill.name))
    if options.diagnosis:
        print(f"\ndiagnosis: {ill.diagnosis} ({ill.stage})\ncure: {ill.cure}")
    save_figure(ill.figure(CLASS_NAMES), path)
    print(f"\nwrote {path}")
