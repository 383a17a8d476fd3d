"""The costliest functions of a training step of the tiny model, for those who want to make it quicker.

    python benchmarks/profile_tiny.py [--task train] [--steps 10] [--lines 40] [--sort tottime]

One thread and the processor's time, so that a busy machine hardly matters. cProfile makes small Python
functions look dearer than they are; `bench_tiny.py --stages-only --threads 1 --cpu-time` tells what whole
stages cost. Needs no torch.
"""

import sides

sides.limit_threads(1)      # read when numpy is imported

import argparse  # noqa: E402
import cProfile  # noqa: E402
import pstats  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

import scenes  # noqa: E402
import worker  # noqa: E402


def profile(weights, scene, task="train", steps=10, lines=40, sort="tottime"):
    """Print the profile of a task."""
    side = worker.Ours(threads=1)
    side.open(weights, scene)
    side.prepare(task)
    run = getattr(side, task)
    for _ in range(2):
        run()
    seconds = sorted(cpu for _, cpu in worker.seconds_of(run, steps))
    print(f"{task}: {1e3 * seconds[len(seconds) // 2]:.1f} ms of processor time "
          f"(median of {steps}, without the profiler)")
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    for _ in range(steps):
        run()
    profiler.disable()
    print(f"below: totals of {steps} repetitions")
    pstats.Stats(profiler).strip_dirs().sort_stats(sort).print_stats(lines)


def main():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["train", "predict", "predict_batch"], default="train")
    parser.add_argument("--steps", type=sides.positive, default=10)
    parser.add_argument("--lines", type=sides.positive, default=40)
    parser.add_argument("--sort", choices=["tottime", "cumtime"], default="tottime",
                        help="tottime: in the function itself")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        profile(*scenes.tiny(folder), args.task, args.steps, args.lines, args.sort)


if __name__ == "__main__":
    main()
