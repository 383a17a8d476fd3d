"""Must the masks of a RoI compete? A mask head with a sigmoid per class, and two with a softmax across classes.

    python notebooks/scripts/softmax_masks.py           # about three minutes on one core

Takes the trained tiny model, freezes everything but its mask branch, and trains three new mask branches side by side,
from the same random weights, on the same RoIs of crowded toy images (4 to 7 shapes, much overlap):

* sigmoid: as in Mask R-CNN, one yes-or-no question a pixel, put to the mask of the RoI's own class only;
* softmax: each pixel chooses among background and the classes; pixels of the object belong to its class, all others
  (other objects too) to the background;
* semantic: the same, but pixels of other objects belong to *their* class, as in semantic segmentation.

Then all three draw the masks of the same detections in 100 other crowded images. Writes
notebooks/results/softmax_masks.npz: average precision, the mask IoU of every object when its true box is the RoI, and
all masks of a few of them. Lesson 11 shows it.
"""

import copy
import sys
from pathlib import Path

import numpy as np

from npmaskrcnn import maskrcnn_tiny, nn, ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.stages.mask_head import mask_loss_backward, mask_loss_forward
from npmaskrcnn.stages.paste import paste_masks
from npmaskrcnn.stages.roi_pooler import make_rois
from npmaskrcnn.stages.transform import resize_target
from npmaskrcnn.structures import Detections
from npmaskrcnn.training import Muon, WarmupCosine
from npmaskrcnn.weights import write_npz

STEPS, BATCH_SIZE, TEST_IMAGES, EXAMPLES, NUM_CLASSES = 300, 2, 100, 3, 4
SHOWN_SIDE = 16     # pixels; smaller objects are counted, but not among the examples
CROWDED = dict(min_objects=4, max_objects=7)
BRANCHES = ("sigmoid", "softmax", "semantic")
RESULT = Path(__file__).resolve().parent.parent / "results" / "softmax_masks.npz"


class Branch:
    """A mask head and a mask predictor of its own, with an optimizer."""

    def __init__(self, heads):
        self.head, self.predictor = copy.deepcopy(heads.mask_head), copy.deepcopy(heads.mask_predictor)
        named = [(f"{part}.{path}", parameter) for part in ("head", "predictor")
                 for path, parameter in getattr(self, part).named_parameters()]
        self.optimizer, self.schedule = Muon(named), WarmupCosine(0.02, STEPS, 30)

    def learn(self, pooled, step, loss_and_gradient):
        """One step on pooled RoIs; return the loss."""
        self.head.zero_grad()
        self.predictor.zero_grad()
        notes = nn.Notes()
        hidden = self.head.forward(pooled, notes.of("head"))
        logits = self.predictor.forward(hidden, notes.of("predictor"))
        loss, dlogits = loss_and_gradient(logits)
        self.head.backward(self.predictor.backward(dlogits, notes["predictor"]), notes["head"])
        self.optimizer.lr = self.schedule.learning_rate(step)
        self.optimizer.step()
        return float(loss)

    def __call__(self, pooled):
        return self.predictor(self.head(pooled))


def sigmoid_loss(logits, labels, targets):
    """The package's own mask loss."""
    loss, cache = mask_loss_forward(logits, labels, targets)
    return loss, mask_loss_backward(1.0, cache)


def softmax_loss(logits, shares):
    """Cross-entropy per pixel, meaned over RoIs and pixels.

    `shares` (P, M, M, K) say how much of a pixel is which class.
    """
    rows, wanted = logits.reshape(-1, NUM_CLASSES), shares.reshape(-1, NUM_CLASSES)
    shifted = rows - rows.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = (np.exp(log_p) - wanted) / np.float32(len(rows))
    return -(wanted * log_p).sum() / len(rows), dlogits.reshape(logits.shape)


def own_shares(labels, targets):
    """(P, M, M, K): the object's class inside, background outside."""
    shares = np.zeros(targets.shape + (NUM_CLASSES,), np.float32)
    shares[np.arange(len(labels)), :, :, labels] = targets
    shares[..., 0] = 1 - targets
    return shares


def class_shares(targets, rois):
    """(P, M, M, K): the class of whatever can be seen there; objects' masks hold visible pixels only."""
    maps = np.zeros((len(targets),) + targets[0].masks.shape[1:] + (NUM_CLASSES,), np.float32)
    for image, target in zip(maps, targets):
        for mask, label in zip(target.masks, target.labels):
            image[mask, label] = 1
        image[..., 0] = 1 - image[..., 1:].sum(axis=2)
    return ops.roi_align(maps, rois, 28)


def train_branches(model):
    """Train the three branches side by side on the same RoIs."""
    fresh = maskrcnn_tiny(NUM_CLASSES, rng=np.random.default_rng(1)).roi_heads
    branches = {name: Branch(fresh) for name in BRANCHES}
    dataset, rng = ShapesDataset(STEPS * BATCH_SIZE, seed=9, **CROWDED), np.random.default_rng(9)
    for step in range(STEPS):
        images, targets = zip(*(dataset[step * BATCH_SIZE + i] for i in range(BATCH_SIZE)))
        batch = model.transform.forward([image / np.float32(255) for image in images], model.dtype)
        trunk = model.forward_trunk(batch.images, nn.FORGET)    # running statistics: the rest of the model is at rest
        proposals = model.rpn.propose(trunk.objectness, trunk.deltas, trunk.anchors, batch.image_sizes)
        targets = [resize_target(t, size) for t, size in zip(targets, batch.image_sizes)]
        rois = model.roi_heads.choose([p.boxes for p in proposals], targets, rng)
        pooled, labels = model.roi_heads.mask_pooler(trunk.features[:4], rois.mask_rois), rois.mask_labels
        wanted = {"softmax": own_shares(labels, rois.mask_targets), "semantic": class_shares(targets, rois.mask_rois)}
        losses = {name: branch.learn(pooled, step, lambda logits: sigmoid_loss(logits, labels, rois.mask_targets)
                                     if name == "sigmoid" else softmax_loss(logits, wanted[name]))
                  for name, branch in branches.items()}
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}", {k: round(v, 4) for k, v in losses.items()}, file=sys.stderr, flush=True)
    return branches


def probabilities(name, logits):
    """(R, M, M, K): what the branch says of each pixel and class."""
    if name == "sigmoid":
        return ops.sigmoid(logits)
    return ops.softmax(logits.reshape(-1, NUM_CLASSES)).reshape(logits.shape)


def neighbors(target, i):
    """What else is in object i's box: 0 nothing much, 1 objects of other classes only, 2 one of its own class."""
    x1, y1, x2, y2 = target.boxes[i].astype(int)
    inside = target.masks[:, y1:y2, x1:x2].mean(axis=(1, 2))
    others = [j for j in range(len(target.labels)) if j != i and inside[j] > 0.1]
    return 0 if not others else 2 if any(target.labels[j] == target.labels[i] for j in others) else 1


def mask_iou(a, b):
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_branches(model, branches):
    """Average precision on the model's detections, and each object's IoU with its true box as the RoI."""
    dataset = ShapesDataset(TEST_IMAGES, seed=20170321, **CROWDED)
    detections, rows, crops = {name: [] for name in BRANCHES}, [], []
    for index in range(TEST_IMAGES):
        image, target = dataset[index]
        batch = model.transform.forward([image / np.float32(255)], model.dtype)
        found, = model.infer(batch)
        keep, boxes = found.detection_rows, found.detection_boxes
        labels, scores = found.candidate_labels[keep], found.candidate_scores[keep]
        true_features = model.roi_heads.mask_pooler(found.features[:4], make_rois([target.boxes]))
        all_masks = {}
        for name, branch in branches.items():
            masks = probabilities(name, branch(found.mask_features))[np.arange(len(labels)), :, :, labels]
            detections[name].append(Detections(boxes, labels, scores, paste_masks(masks, boxes, image.shape[:2])))
            all_masks[name] = probabilities(name, branch(true_features))
        for i, label in enumerate(target.labels):
            box, truth = target.boxes[i:i + 1], target.masks[i]
            ious = [[mask_iou(paste_masks(all_masks[name][i:i + 1, :, :, k], box, truth.shape)[0] > 0.5, truth)
                     for k in range(1, NUM_CLASSES)] for name in BRANCHES]
            shorter_side = min(box[0, 2] - box[0, 0], box[0, 3] - box[0, 1])
            rows.append((index, i, label, neighbors(target, i), ious, shorter_side))
            crops.append(np.stack([all_masks[name][i] for name in BRANCHES]))
    precision = {name: evaluate(dataset, found, iou_types=("segm",)).segm for name, found in detections.items()}
    return precision, rows, crops


def main():
    model = trained_tiny()
    branches = train_branches(model)
    precision, rows, crops = test_branches(model, branches)
    ious = np.array([row[4] for row in rows], np.float32)                       # (objects, branches, classes 1..3)
    labels = np.array([row[2] for row in rows])
    own = ious[np.arange(len(rows)), :, labels - 1]
    large = np.flatnonzero([row[5] >= SHOWN_SIDE for row in rows])
    differences = (own[:, 1] - own[:, 0],       # where sigmoid gains most over softmax
                   own[:, 0] - own[:, 1],       # and loses most
                   own[:, 2] - own[:, 0])       # where semantic targets fall behind
    chosen = np.concatenate([large[np.argsort(values[large], kind="stable")[:EXAMPLES]] for values in differences])
    arrays = {"image": np.array([row[0] for row in rows], np.int16),
              "object": np.array([row[1] for row in rows], np.int8),
              "label": labels.astype(np.int8), "neighbors": np.array([row[3] for row in rows], np.int8),
              "iou": np.round(ious, 3).astype(np.float16), "example": chosen.astype(np.int16),
              "example_masks": np.round(255 * np.array([crops[row] for row in chosen])).astype(np.uint8)}
    meta = {"branches": BRANCHES, "steps": STEPS, "batch_size": BATCH_SIZE, "test_images": TEST_IMAGES,
            "crowded": CROWDED, "test_seed": 20170321, "examples": EXAMPLES,
            "segm": {name: {key: round(float(figures[key]), 4) for key in ("AP", "AP50", "AP75")}
                     for name, figures in precision.items()}}
    RESULT.parent.mkdir(exist_ok=True)
    write_npz(RESULT, arrays, meta, compress=True)
    print(meta["segm"], file=sys.stderr)


if __name__ == "__main__":
    main()
