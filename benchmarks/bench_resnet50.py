"""The full model beside torchvision and others: predicting one large image, and with --train one training step.

    python benchmarks/bench_resnet50.py [--turns 5] [--threads 2] [--train] [--size 800 1088] [--weights FILE]
                                        [--sides ours torchvision openvino onnxruntime] [--without-pasting]

`maskrcnn_resnet50_fpn` on an 800x1088 image, the same weights on all sides: random ones, scaled so that
about fifty objects are found, or those of a file. Printed are the times of all sides in turns, their peak
memory, and for our stages the rate of their matrix products beside the rate that this machine reaches on
bare products in the same run, so that the distance to the limit can be read.
"""

import tempfile

import machine
import rivals
import sides

# (rows, inner, columns) of float32 products: a large square one, then what the full model does most.
PRODUCTS = [("square, 2048", (2048, 2048, 2048)), ("layer1 1x1, 64 to 256", (54400, 64, 256)),
            ("layer3 1x1, 1024 to 256", (3400, 1024, 256)),
            ("P2 3x3, 256 to 256, eighth of the map", (6800, 2304, 256)),
            ("layer4 3x3, 512 to 512", (850, 4608, 512)), ("fc6, 1000 RoIs", (1000, 12544, 1024))]


def print_products(side, cpu_time):
    """Print the machine's rates of bare products, on the clock that the tables of stages use."""
    rates = side.tell(do="products", shapes=[shape for _, shape in PRODUCTS], cpu_time=cpu_time)
    print("\nbare products of this machine, GFLOP/s: best, median")
    for (name, shape), (best, median) in zip(PRODUCTS, rates):
        print(f"  {name:<40}{' x '.join(map(str, shape)):<22}{best:>8.1f}{median:>8.1f}")


def count(weights, scene, task):
    """Return {stage: multiply-adds} for a task, and print the numbers of RoIs and the total."""
    import macs
    import numpy as np
    import scenes

    import npmaskrcnn
    from npmaskrcnn.nn import FORGET
    from npmaskrcnn.stages.transform import resize_target
    model = npmaskrcnn.load(weights)
    images, targets = scenes.read(scene)
    batch = model.transform.forward(images[:1], model.dtype)

    def learn():
        sized = [resize_target(targets[0], batch.image_sizes[0])]
        trunk = model.forward_trunk(batch.images, FORGET)
        chosen = model.make_plan(trunk, batch.image_sizes, sized, np.random.default_rng(0)).rois
        model.roi_heads.classify(trunk.features, chosen.rois, FORGET)
        model.roi_heads.segment(trunk.features, chosen.mask_rois, FORGET)
        print(f"training: {len(chosen.rois)} RoIs sampled, {len(chosen.mask_rois)} of them positive")

    def predict():
        found, = model.infer(batch)
        print(f"prediction: {len(found.proposals)} proposals, {len(found.candidate_rois)} candidates, "
              f"{len(found.detection_rows)} detections")

    stages = macs.stage_macs(model, learn if task == "train" else predict)
    print(f"products of a forward pass: {sum(stages.values()) / 1e9:.1f} billion multiply-adds ("
          + ", ".join(f"{stage} {value / 1e9:.1f}" for stage, value in stages.items()) + ")", flush=True)
    return stages


def main():
    """Run the comparison."""
    parser = rivals.options(__doc__, turns=5, times=1)
    parser.add_argument("--size", type=sides.image_side, nargs=2, default=(800, 1088), metavar=("H", "W"))
    parser.add_argument("--weights", help="a file of published weights instead of random ones")
    parser.add_argument("--train", action="store_true", help="a training step instead of a prediction")
    args = parser.parse_args()
    task, = rivals.possible(parser, args, ["train" if args.train else "predict"])
    title = (f"maskrcnn_resnet50_fpn, {'training step' if args.train else 'prediction'}, "
             f"one {args.size[0]}x{args.size[1]} image")
    sides.limit_threads(args.threads)       # before numpy is imported, which scenes does
    sides.require_torch()
    machine.print_machine()
    import scenes
    with tempfile.TemporaryDirectory() as folder:
        with sides.refusals(parser):
            weights, scene = scenes.resnet50(folder, tuple(args.size), args.weights)
        stages = count(weights, scene, task)
        contest = rivals.contest(args, folder, weights, scene)
        if not args.stages_only:
            rivals.compare(contest, task, title)
        with contest.side("ours", task) as side:
            print_products(side, args.cpu_time)
        rivals.print_stages(contest, task, title, max(1, args.turns // 2), args.cpu_time, stages)


if __name__ == "__main__":
    main()
