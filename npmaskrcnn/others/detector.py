"""What trainer, evaluation, figures and files ask of a model, in one place.

A model that answers with objects can be built in many ways, but from outside all look the same: images go in, and
`Detections` come out; images and targets go in, and losses come out, with a gradient in every parameter. The door that
judges what goes in and brings back what comes out is Mask R-CNN's own (`mask_rcnn`): it is borrowed here whole, and
behind it stands another network, of which the door asks six things and no more.
"""

from .. import nn
from ..mask_rcnn import MaskRCNN
from ..stages.transform import Transform


class Detector(nn.Module):
    """A model beside Mask R-CNN: a subclass says what is behind the door.

    In training, in this order:

    - ``forward_trunk(images, notes, tell=silent)``: what does not depend on any decision, from (N, H', W', 3);
    - ``make_plan(trunk, image_sizes, targets, rng)``: all decisions (what learns from what), without a gradient;
    - ``losses_for(trunk, plan, notes)``: a dict of scalars, under the names of `loss_names`;
    - ``backward(dlosses, notes, need_dimages=False)``: adds to every parameter's gradient, returns that by the images.

    In prediction:

    - ``infer(batch, score_threshold, iou_threshold, tell=silent)``: an answer for each image of an `ImageBatch`, in
      whatever form;
    - ``detections(answer, original_size, paste_all)``: the answer as `Detections`, in the caller's own coordinates.

    From these come `predict` and `loss_and_grads`, as documented in `MaskRCNN`. Trainer, evaluation and files ask
    besides for the attributes below, and for what every `nn.Module` has. (They ask nobody for a `trace`.)

    Parameters
    ----------
    config : Config
    num_classes : int
        With background.

    Attributes
    ----------
    loss_names : list of str
        Of those in `network.LOSS_NAMES` the ones that this model has, playing the same part: a log, a progress line and
        curves then know what to do with them.
    has_masks : bool
        Whether its detections have masks. (Mask R-CNN leaves that to its ``roi_heads``.)
    config : Config
    transform : Transform
    class_names, architecture, untrained
        As in `MaskRCNN`.
    """

    loss_names, has_masks = [], True

    predict, loss_and_grads = MaskRCNN.predict, MaskRCNN.loss_and_grads
    _judge_targets, _decide_and_lose = MaskRCNN._judge_targets, MaskRCNN._decide_and_lose

    def __init__(self, config, num_classes):
        self.config, self.num_classes = config, num_classes
        self.transform = Transform(config.min_size, config.max_size, config.image_mean, config.image_std)
        self.class_names, self.architecture, self.untrained = None, None, True

    def __repr__(self):
        return (f"{type(self).__name__}({self.num_classes} classes, {self.num_parameters():,} trainable parameters, "
                f"min_size {self.config.min_size}, max_size {self.config.max_size})")

    def load_state_dict(self, mapping, strict=True):
        """Take weights; see `Module.load_state_dict`."""
        report = super().load_state_dict(mapping, strict)
        self.untrained = False
        return report
