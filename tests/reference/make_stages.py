"""Make ``stages.npz``: what torchvision's stages answer to the same float32 inputs, one stage at a time.

Run: ``python tests/reference/make_stages.py`` (needs torch and torchvision). Whole models in float32 differ by what
rounding makes of two different convolutions; here each stage gets identical numbers, so it must answer almost
identically. Inputs are drawn by NumPy without ties and stored beside the answers, maps in NHWC order.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torchvision.models.detection import roi_heads as tv_heads  # noqa: E402
from torchvision.models.detection.image_list import ImageList  # noqa: E402
from torchvision.ops import MultiScaleRoIAlign  # noqa: E402

from tests.reference import torchvision_side as side  # noqa: E402
from tests.reference.cases import build, images_and_targets  # noqa: E402
from tests.reference.store import save  # noqa: E402

SEED, SAMPLE_SEED, NUM_CLASSES = 21, 5, 4
PADDED, SIZES = (128, 160), [(100, 140), (128, 91)]        # resized sizes inside the padded batch
GRIDS = [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]
ORIGINAL = (75, 105)


def distinct(rng, *shape):
    """Numbers between -4 and 4, no two equal: torch leaves the order of ties open."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) + 0.5) / n * 8 - 4).astype(np.float32).reshape(shape)


def boxes_within(rng, n, size):
    """Boxes of all sizes and shapes inside an image."""
    height, width = size
    corners = np.sort(rng.uniform(0, 1, (n, 2, 2)) * [width, height], axis=1)
    corners[:, 1] += 2
    return corners.reshape(n, 4).clip(0, [width, height, width, height]).astype(np.float32)


def nchw(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def tensors(arrays):
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def anchors_and_proposals(twin, rng, stored):
    """The RPN behind its head: anchors, decoding, top-k, NMS, in test and in training numbers."""
    rpn = twin.rpn
    objectness = [distinct(rng, 2, h, w, 3) for h, w in GRIDS]
    deltas = [(0.4 * rng.standard_normal((2, h, w, 3, 4))).astype(np.float32) for h, w in GRIDS]
    images = ImageList(torch.zeros(2, 3, *PADDED), SIZES)
    anchors = rpn.anchor_generator(images, [torch.zeros(2, 1, h, w) for h, w in GRIDS])
    flat_objectness = torch.from_numpy(np.concatenate([o.reshape(2, -1) for o in objectness], axis=1))
    flat_deltas = torch.from_numpy(np.concatenate([d.reshape(2, -1, 4) for d in deltas], axis=1))
    decoded = rpn.box_coder.decode(flat_deltas.reshape(-1, 4), anchors).view(2, -1, 4)
    stored["anchors"] = anchors[0].numpy()
    for i, (o, d) in enumerate(zip(objectness, deltas)):
        stored[f"objectness/{i}"], stored[f"deltas/{i}"] = o, d
    for mode in ("test", "train"):
        rpn.train(mode == "train")
        boxes, scores = rpn.filter_proposals(decoded, flat_objectness, SIZES, [3 * h * w for h, w in GRIDS])
        for i in (0, 1):
            stored[f"{mode}/proposals/{i}"] = boxes[i].numpy()
            stored[f"{mode}/proposal_scores/{i}"] = scores[i].numpy()
    return anchors, flat_objectness, flat_deltas, [b.numpy() for b in boxes]


def rpn_training(twin, anchors, objectness, deltas, targets, stored):
    """Matching, sampling and losses of the RPN, and the losses' gradients."""
    rpn = twin.rpn
    labels, matched = rpn.assign_targets_to_anchors(anchors, targets)
    regression = rpn.box_coder.encode(matched, anchors)
    objectness, deltas = objectness.reshape(-1, 1).requires_grad_(), deltas.reshape(-1, 4).requires_grad_()
    torch.manual_seed(SAMPLE_SEED)
    losses = rpn.compute_loss(objectness, deltas, labels, regression)
    (2 * losses[0] + 3 * losses[1]).backward()
    stored["rpn/labels"] = torch.stack(labels).numpy().astype(np.int8)
    stored["rpn/losses"] = np.array([loss.item() for loss in losses])
    sampled = objectness.grad.flatten().nonzero().flatten().numpy()
    stored["rpn/sampled"] = sampled
    stored["rpn/dobjectness"] = objectness.grad.flatten().numpy()[sampled]
    stored["rpn/ddeltas"] = deltas.grad.numpy()[sampled]


def roi_training(twin, rng, proposals, targets, stored):
    """Sampling of RoIs, their targets, and the losses of both heads with gradients."""
    torch.manual_seed(SAMPLE_SEED)
    rois, matched, labels, regression = twin.roi_heads.select_training_samples(tensors(proposals), targets)
    for i in (0, 1):
        stored.update({f"rois/boxes/{i}": rois[i].numpy(), f"rois/labels/{i}": labels[i].numpy(),
                       f"rois/targets/{i}": regression[i].numpy()})
    count = sum(map(len, rois))
    logits, moves = distinct(rng, count,
                             NUM_CLASSES), (0.3 * rng.standard_normal((count, NUM_CLASSES, 4))).astype(np.float32)
    tensor_logits, tensor_moves = (t.requires_grad_() for t in tensors([logits, moves.reshape(count, -1)]))
    losses = tv_heads.fastrcnn_loss(tensor_logits, tensor_moves, labels, regression)
    (2 * losses[0] + 3 * losses[1]).backward()
    stored.update({"box/logits": logits, "box/deltas": moves,
                   "box/losses": np.array([loss.item() for loss in losses]),
                   "box/dlogits": tensor_logits.grad.numpy(),
                   "box/ddeltas": tensor_moves.grad.numpy().reshape(moves.shape)})
    positive = [torch.where(label > 0)[0] for label in labels]
    boxes, indices = [r[p] for r, p in zip(rois, positive)], [m[p] for m, p in zip(matched, positive)]
    for i in (0, 1):
        stored[f"mask/targets/{i}"] = tv_heads.project_masks_on_boxes(
            targets[i]["masks"], boxes[i], indices[i], 28).numpy().astype(np.float32)
    mask_logits = (2 * rng.standard_normal((sum(map(len, positive)), 28, 28, NUM_CLASSES))).astype(np.float32)
    tensor_masks = nchw(mask_logits).requires_grad_()
    loss = tv_heads.maskrcnn_loss(tensor_masks, boxes, [t["masks"] for t in targets], [t["labels"] for t in targets],
                                  indices)
    loss.backward()
    stored.update({"mask/logits": mask_logits, "mask/loss": np.array(loss.item()),
                   "mask/dlogits": side.nhwc(tensor_masks.grad)})


def pooling(rng, proposals, stored):
    """RoIAlign over the levels of a pyramid of five channels, levels chosen with canonical scales 224 and 56."""
    features = [rng.standard_normal((2, h, w, 5)).astype(np.float32) for h, w in GRIDS[:4]]
    stored.update({f"pool/features/{i}": f for i, f in enumerate(features)})
    for scale in (224, 56):
        pooler = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=scale)
        pooled = pooler({str(i): nchw(f) for i, f in enumerate(features)}, tensors([p[:20] for p in proposals]),
                        SIZES)
        stored[f"pool/{scale}"] = side.nhwc(pooled)


def inference(twin, rng, proposals, stored):
    """From the box head's outputs to detections, and from small masks to large ones."""
    counts = [len(p) for p in proposals]
    logits = distinct(rng, sum(counts), NUM_CLASSES)
    moves = rng.standard_normal((sum(counts), NUM_CLASSES, 4)).astype(np.float32)
    boxes, scores, labels = twin.roi_heads.postprocess_detections(
        *tensors([logits, moves.reshape(len(moves), -1)]), tensors(proposals), SIZES)
    stored.update({"detect/logits": logits, "detect/deltas": moves})
    for i in (0, 1):
        assert len(set(scores[i].tolist())) == len(scores[i]), "tied scores"
        stored.update({f"detect/boxes/{i}": boxes[i].numpy(), f"detect/scores/{i}": scores[i].numpy(),
                       f"detect/labels/{i}": labels[i].numpy()})
    masks = rng.random((8, 28, 28)).astype(np.float32)
    paste_boxes = np.concatenate([boxes_within(rng, 6, ORIGINAL), [[-9.3, 10, 30.7, 50.2],
                                                                   [60, -20.6, 120, 90]]]).astype(np.float32)
    pasted = tv_heads.paste_masks_in_image(torch.from_numpy(masks[:, None]), torch.from_numpy(paste_boxes), ORIGINAL)
    stored.update({"paste/masks": masks, "paste/boxes": paste_boxes, "paste/pasted": pasted[:, 0].numpy()})


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    model = build("tiny", "float32")
    twin = side.twin_of(model)
    # The case's images are 90 x 125 and 140 x 100; as targets only their sizes' ratios matter.
    resized = twin.transform([torch.zeros(3, *image.shape[:2]) for image in images_and_targets("tiny")[0]],
                             [side.target_to_torch(t) for t in images_and_targets("tiny")[1]])[1]
    stored = {}
    anchors, objectness, deltas, proposals = anchors_and_proposals(twin, rng, stored)
    rpn_training(twin, anchors, objectness, deltas, resized, stored)
    for i, target in enumerate(resized):        # proposals near objects, or none would be positive
        jitter = rng.normal(0, 6, (12, 4))
        near = target["boxes"].numpy()[np.arange(12) % len(target["boxes"])] + jitter
        proposals[i] = np.concatenate([proposals[i], near.clip(0, [140, 128, 140, 128])]).astype(np.float32)
        proposals[i] = proposals[i][(proposals[i][:, 2:] > proposals[i][:, :2] + 1).all(axis=1)]
        stored[f"proposals/{i}"] = proposals[i]
        stored[f"target/boxes/{i}"], stored[f"target/labels/{i}"] = target["boxes"].numpy(), target["labels"].numpy()
        stored[f"target/masks/{i}"] = target["masks"].numpy().astype(bool)
    roi_training(twin, rng, proposals, resized, stored)
    pooling(rng, proposals, stored)
    inference(twin, rng, proposals, stored)
    save("stages", stored, **side.VERSIONS, seed=SEED, sample_seed=SAMPLE_SEED, options=model.config.as_dict(),
         padded=PADDED, sizes=SIZES, grids=GRIDS, original=ORIGINAL, num_classes=NUM_CLASSES)


if __name__ == "__main__":
    main()
