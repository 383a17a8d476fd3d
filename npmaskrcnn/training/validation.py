"""What a training is worth so far: average precision on images that it does not learn from, and curves."""

from .log import AP_COLUMNS


def average_precision(model, dataset, progress):
    """Detect on every image of a dataset and measure COCO's average precision.

    Parameters
    ----------
    model : MaskRCNN
    dataset : ShapesDataset, CocoDataset or the like
    progress : Progress
        Told how far it is, and the result.

    Returns
    -------
    figures : dict of str to float
        ``bbox_AP``, ``segm_AP50`` and so on; -1 where there is no ground truth.
    """
    from ..evaluation import evaluate
    from ..structures import Detections

    found = []
    for i in range(len(dataset)):
        progress.evaluating(i, len(dataset))
        one = model.predict(dataset[i][0])
        masks = one.masks > 0.5  # bools: a quarter of the memory
        found.append(Detections(one.boxes, one.labels, one.scores, masks))
    result = evaluate(dataset, found)
    return {column: float(getattr(result, column[:4])[column[5:]]) for column in AP_COLUMNS[2:]}


def draw_curves(trainer):
    """Write ``curves.png`` and ``gradients.png`` into the trainer's folder."""
    if trainer.out_dir is None or not len(trainer.log):
        return
    from ..plots import gradient_curves, loss_curves, save_figure

    log, aps = trainer.log.arrays(), trainer.validation_log.arrays()
    validation = {"step": aps["step"], "box AP": aps["bbox_AP"], "mask AP": aps["segm_AP"]}
    figure = loss_curves(log, trainer.model.num_classes, validation if len(aps["step"]) else None)
    save_figure(figure, trainer.path("curves.png"))
    save_figure(gradient_curves(log), trainer.path("gradients.png"))
