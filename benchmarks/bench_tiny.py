"""The tiny model against torchvision: a training step, a prediction, memory, and where our time goes.

    python benchmarks/bench_tiny.py [--turns 15] [--threads 2] [--only train] [--fair] [--cpu-time]

Both sides have the same weights, images and targets (torchvision's in its own form, made beforehand) and
take turns in processes of their own. A training step is forward, five losses, backward and one AdamW update
of a batch of four 128x128 images. Before anything is timed, losses and detections are compared: both do the
same work.
"""

import tempfile

import machine
import sides

TASKS = [("train", "training step, batch of 4", 1), ("predict", "prediction, one image", 1),
         ("predict_batch", "prediction, per image in a batch of 4", 4)]


def check_same_work(weights, scene):
    """Print how far the two models' losses and detections are apart."""
    import numpy as np
    import torch

    import scenes
    import torchvision_twin as twins

    import npmaskrcnn
    model = npmaskrcnn.load(weights)
    twin = twins.twin_of(model)
    images, targets = scenes.read(scene)
    found = model.predict(images)
    with torch.inference_mode():
        expected = twin([twins.to_torch(image) for image in images])
    theirs, _ = twins.torch_losses_and_grads(twin, images, targets, seed=0)
    ours = model.loss_and_grads(images, targets, twins.TorchGenerator(0))
    apart = max(abs(ours[name] - theirs[name]) / max(abs(theirs[name]), 1e-6) for name in ours)
    boxes = [np.abs(a.boxes - b["boxes"].numpy()).max(initial=0) for a, b in zip(found, expected)
             if len(a) == len(b["boxes"])]
    print(f"same work: losses agree to {apart:.1e} (relative); detections {[len(d) for d in found]} and "
          f"{[len(d['boxes']) for d in expected]}, boxes within {max(boxes, default=float('nan')):.1e} px",
          flush=True)


def main():
    """Run the comparison."""
    parser = sides.torchvision_options(__doc__, turns=15, times=3)
    parser.add_argument("--only", choices=[name for name, _, _ in TASKS])
    parser.add_argument("--weights", help="an .npz of a tiny model instead of the shipped one")
    parser.add_argument("--fair", action="store_true", help="also time each side alone")
    parser.add_argument("--profile", action="store_true", help="only print our costliest functions")
    args = parser.parse_args()
    tasks = [task for task in TASKS if args.only in (None, task[0])]
    sides.limit_threads(args.threads)       # before numpy is imported, which scenes does
    if not args.profile:
        sides.require_torch()
    machine.print_machine()
    import scenes
    with tempfile.TemporaryDirectory() as folder:
        weights, scene = scenes.tiny(folder, weights=args.weights)
        if args.profile:
            import profile_tiny
            profile_tiny.profile(weights, scene, tasks[0][0])
            return
        if not args.stages_only:
            check_same_work(weights, scene)
            compare(weights, scene, args, tasks)
        for task, title, _ in tasks:
            for name in ("ours", "torchvision"):
                clock = "processor" if args.cpu_time else "wall"
                print(f"\nstages of {'npmaskrcnn' if name == 'ours' else name}, {title} ({clock} time)")
                with sides.Side(name, weights, scene, args.threads) as side:
                    sides.stage_table(side, task, max(5, args.turns), args.cpu_time)


def compare(weights, scene, args, tasks):
    """Time both sides in turns, then their memory in fresh processes."""
    for task, title, per in tasks:
        with sides.Side("ours", weights, scene, args.threads) as ours, \
                sides.Side("torchvision", weights, scene, args.threads) as theirs:
            sides.print_comparison(f"\n{title}, {args.threads} threads", sides.take_turns(
                ours, theirs, task, args.turns, args.times), per)
        if args.fair:
            for name in ("ours", "torchvision"):
                with sides.Side(name, weights, scene, args.threads) as side:
                    sides.alone(side, task, 2, args.times)
                    seconds = sides.alone(side, task, args.turns, args.times)
                    print(f"  {name} alone: {1e3 * seconds.median / per:.1f} ms (median)", flush=True)
        for name in ("ours", "torchvision"):
            peak, loaded = sides.peak_memory(name, weights, scene, args.threads, task)
            print(f"  peak memory beyond import, {name}: {peak:.0f} MB "
                  f"(of which model and images: {loaded:.0f} MB)", flush=True)


if __name__ == "__main__":
    main()
