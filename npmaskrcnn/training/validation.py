"""What a training is worth so far: average precision on images that it does not learn from, and curves."""

from dataclasses import replace

from .. import rle
from ..datasets.results import encoded_masks
from ..evaluation import evaluate
from ..evaluation.inputs import IOU_TYPES
from ..structures import judged_pair
from .log import ap_columns


def iou_types(model):
    """Return what can be measured of a model's detections: boxes and, if it has them, masks."""
    return IOU_TYPES if getattr(model, "roi_heads", model).has_masks else ("bbox",)    # a model without regions tells


def predict_dataset(model, dataset, tell, batch_size=4, to_draw=False, mask_threshold=0.5):
    """Detect on every image of a dataset, objects of the classes that it has.

    Parameters
    ----------
    model : MaskRCNN
    dataset : ShapesDataset, CocoDataset or the like
    tell : callable
        ``tell(done)`` hears how many images are done: none at first, all in the end.
    batch_size : int
        Images that are looked at together.
    to_draw : bool
        Keep the masks' probabilities, which make smooth outlines. Else masks are thresholded, held as run lengths
        and unfolded one at a time: a million pixels take some hundred bytes.
    mask_threshold : float
        A pixel whose probability is above it is the object's, if masks are not kept `to_draw`.

    Returns
    -------
    found : list of Detections
    """
    found, num_classes = [], len(dataset.class_names)
    tell(0)
    for start in range(0, len(dataset), batch_size):
        numbers = range(start, min(start + batch_size, len(dataset)))
        images = [judged_pair(dataset[i], f"dataset[{i}]")[0] for i in numbers]
        for one in model.predict(images, paste_all=to_draw):
            one = one if to_draw else folded(one, mask_threshold)
            found.append(one if one.class_names else one[one.labels < num_classes])    # else the names tell
        tell(len(found))
    return found


def folded(found, mask_threshold=0.5):
    """Return detections with their masks thresholded and held as run lengths, if they have any."""
    if found.masks is None:
        return found
    codes = [rle.encode(mask > mask_threshold) for mask in found.masks]
    return replace(found, masks=encoded_masks(codes, found.masks.shape[1:]))


def average_precision(model, dataset, progress):
    """Detect on every image of a dataset and measure COCO's average precision.

    Parameters
    ----------
    model : MaskRCNN
    dataset : ShapesDataset, CocoDataset or the like
    progress : Progress
        Told how far it is.

    Returns
    -------
    figures : dict of str to float
        ``bbox_AP``, ``segm_AP50`` and so on, without masks the former only; -1 where there is no ground truth.
    """
    found = predict_dataset(model, dataset, lambda done: progress.evaluating(done, len(dataset)), batch_size=1)
    result = evaluate(dataset, found, iou_types(model))
    return {column: float(getattr(result, column[:4])[column[5:]]) for column in ap_columns(iou_types(model))[2:]}


def draw_curves(trainer):
    """Write ``curves.png`` and ``gradients.png`` into the trainer's folder."""
    if trainer.out_dir is None or not len(trainer.log):
        return
    from ..plots import gradient_curves, loss_curves, save_figure

    log, aps = trainer.log.arrays(), trainer.validation_log.arrays()
    validation = {"step": aps["step"], "box AP": aps["bbox_AP"]}
    if "segm_AP" in aps:
        validation["mask AP"] = aps["segm_AP"]
    figure = loss_curves(log, trainer.model.num_classes, validation if len(aps["step"]) else None)
    save_figure(figure, trainer.path("curves.png"))
    save_figure(gradient_curves(log), trainer.path("gradients.png"))
