"""The tiny model beside torchvision and others: a training step, a prediction, memory, and where our time goes.

    python benchmarks/bench_tiny.py [--turns 15] [--threads 2] [--only train] [--sides ours torchvision openvino]
                                    [--without-pasting] [--fair] [--cpu-time]

All sides have the same weights, images and targets (each in its own form, made beforehand) and take turns in processes
of their own. A training step is forward, five losses, backward and one AdamW update of a batch of four 128x128 images;
OpenVINO and ONNX Runtime, where they are installed, only predict. Before anything is timed, losses and detections are
compared: all do the same work.
"""

import tempfile

import machine
import rivals
import sides

TASKS = [("train", "training step, batch of 4", 1), ("predict", "prediction, one image", 1),
         ("predict_batch", "prediction, per image in a batch of 4", 4)]


def check_same_losses(weights, scene):
    """Print how far our losses and torchvision's are apart."""
    import scenes
    import torchvision_twin as twins

    import npmaskrcnn
    model = npmaskrcnn.load(weights)
    images, targets = scenes.read(scene)
    theirs, _ = twins.torch_losses_and_grads(twins.twin_of(model), images, targets, seed=0)
    ours = model.loss_and_grads(images, targets, twins.TorchGenerator(0))
    apart = max(abs(ours[name] - theirs[name]) / max(abs(theirs[name]), 1e-6) for name in ours)
    print(f"\nsame work: losses agree with torchvision's to {apart:.1e} (relative)", flush=True)


def main():
    """Run the comparison."""
    parser = rivals.options(__doc__, turns=15, times=3)
    parser.add_argument("--only", choices=[name for name, _, _ in TASKS])
    parser.add_argument("--weights", help="an .npz of a tiny model instead of the shipped one")
    parser.add_argument("--fair", action="store_true", help="also time each side alone")
    parser.add_argument("--profile", action="store_true", help="only print our costliest functions, on one thread")
    args = parser.parse_args()
    names = rivals.possible(parser, args, [args.only] if args.only else [name for name, _, _ in TASKS])
    tasks = [task for task in TASKS if task[0] in names]
    sides.limit_threads(1 if args.profile else args.threads)       # before numpy is imported, which scenes does
    if not args.profile:
        sides.require_torch()
    machine.print_machine()
    import scenes
    with tempfile.TemporaryDirectory() as folder:
        with sides.refusals(parser):
            weights, scene = scenes.tiny(folder, weights=args.weights)
        if args.profile:
            import profile_tiny
            profile_tiny.profile(weights, scene, tasks[0][0])
            return
        contest = rivals.contest(args, folder, weights, scene)
        if not args.stages_only:
            compare(contest, tasks, args.fair)
        for task, title, _ in tasks:
            rivals.print_stages(contest, task, title, max(5, args.turns), args.cpu_time)


def compare(contest, tasks, fair):
    """Time the sides in turns, and each alone, too, if that is to be shown `fair`."""
    if tasks[0][0] == "train":
        check_same_losses(contest.weights, contest.scene)
    for task, title, per in tasks:
        rivals.compare(contest, task, title, per)
        for name in contest.partakers(task) if fair else ():
            with contest.side(name, task) as side:
                sides.alone(side, task, 2, contest.times)
                seconds = sides.alone(side, task, contest.turns, contest.times)
                print(f"  {rivals.TITLES[name]} alone: {1e3 * seconds.median / per:.1f} ms (median)", flush=True)


if __name__ == "__main__":
    main()
