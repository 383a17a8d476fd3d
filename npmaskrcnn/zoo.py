"""The models that people ask for by name, with the weights of a file if they have one.

Builders in `models` know no files, and `weights` knows the builders: here both come together. A model that is
given weights draws no random numbers first.
"""

from . import models
from .models import NO_DRAWS
from .weights import load_into, published_norm_eps


def maskrcnn_resnet_fpn(body="resnet50", weights=None, num_classes=91, trainable_layers=5, norm_eps=None, rng=None,
                        **config):
    """Build torchvision's Mask R-CNN on a residual body with frozen batch norm.

    Parameters
    ----------
    body : {"resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d"}
    weights : path, optional
        A ``.pth``, ``.safetensors`` or ``.npz`` file; random weights if absent.
    num_classes : int
        With background.
    trainable_layers : int, 0..5
        How many of the body's layer4, layer3, layer2, layer1 and stem are trained, from the top.
    norm_eps : float, optional
        Of the frozen batch norms. None: 0.0 for the published COCO_V1 file (told by its digest), else 1e-5.
    rng : np.random.Generator, optional
        Draws random weights; ``default_rng(0)`` if absent.
    **config
        Options of torchvision's `MaskRCNN` constructor, by their names there.

    Returns
    -------
    MaskRCNN

    Raises
    ------
    InputError
        For an unknown body or option (naming the nearest), or weights that do not fit.
    """
    return _resnet_fpn(models.maskrcnn_resnet_fpn, weights, norm_eps, rng, body=body, num_classes=num_classes,
                       trainable_layers=trainable_layers, **config)


def fasterrcnn_resnet_fpn(body="resnet50", weights=None, num_classes=91, trainable_layers=5, norm_eps=None, rng=None,
                          **config):
    """Build torchvision's Faster R-CNN on a residual body with frozen batch norm: boxes and no masks.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return _resnet_fpn(models.fasterrcnn_resnet_fpn, weights, norm_eps, rng, body=body, num_classes=num_classes,
                       trainable_layers=trainable_layers, **config)


def maskrcnn_resnet50_fpn(weights=None, num_classes=91, rng=None, **config):
    """Build `maskrcnn_resnet_fpn` on ResNet-50: the model of torchvision's published COCO weights.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return maskrcnn_resnet_fpn("resnet50", weights, num_classes, rng=rng, **config)


def fasterrcnn_resnet50_fpn(weights=None, num_classes=91, rng=None, **config):
    """Build `fasterrcnn_resnet_fpn` on ResNet-50: the model of torchvision's published COCO weights for boxes.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return fasterrcnn_resnet_fpn("resnet50", weights, num_classes, rng=rng, **config)


def maskrcnn_resnet50_fpn_v2(weights=None, num_classes=91, trainable_layers=5, rng=None, **config):
    """Build torchvision's `maskrcnn_resnet50_fpn_v2`; see `models.maskrcnn_resnet50_fpn_v2`.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return _with_weights(models.maskrcnn_resnet50_fpn_v2, weights, rng, num_classes=num_classes,
                         trainable_layers=trainable_layers, **config)


def fasterrcnn_resnet50_fpn_v2(weights=None, num_classes=91, trainable_layers=5, rng=None, **config):
    """Build torchvision's `fasterrcnn_resnet50_fpn_v2`; see `models.fasterrcnn_resnet50_fpn_v2`.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return _with_weights(models.fasterrcnn_resnet50_fpn_v2, weights, rng, num_classes=num_classes,
                         trainable_layers=trainable_layers, **config)


def fasterrcnn_mobilenet_v3_large_fpn(weights=None, num_classes=91, trainable_layers=6, frozen_norm=None, rng=None,
                                      **config):
    """Build torchvision's Faster R-CNN on MobileNetV3-Large, a body of few multiplications.

    Parameters
    ----------
    weights : path, optional
        A ``.pth``, ``.safetensors`` or ``.npz`` file; random weights if absent.
    num_classes : int
        With background.
    trainable_layers : int, 0..6
        How many of the body's stages are trained, from the top. (In torchvision 3, with weights.)
    frozen_norm : bool, optional
        Whether the body's batch norms are frozen. If absent, they are with weights, and learn without, as torchvision
        has it.
    rng : np.random.Generator, optional
        Draws random weights; ``default_rng(0)`` if absent.
    **config
        Options of torchvision's `FasterRCNN` constructor, by their names there.

    Returns
    -------
    MaskRCNN
        Without a mask branch.

    Raises
    ------
    InputError
        For an unknown option (naming the nearest), or weights that do not fit.
    """
    return _mobilenet(models.fasterrcnn_mobilenet_v3_large_fpn, weights, frozen_norm, rng, num_classes=num_classes,
                      trainable_layers=trainable_layers, **config)


def fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, num_classes=91, trainable_layers=6, frozen_norm=None, rng=None,
                                          **config):
    """Build `fasterrcnn_mobilenet_v3_large_fpn` for images of 320 pixels, with fewer proposals."""
    config = {"min_size": 320, "max_size": 640, "rpn_pre_nms_top_n_test": 150, "rpn_post_nms_top_n_test": 150, **config}
    return fasterrcnn_mobilenet_v3_large_fpn(weights, num_classes, trainable_layers, frozen_norm, rng, **config)


def maskrcnn_mobilenet_v3_large_fpn(weights=None, num_classes=91, trainable_layers=6, frozen_norm=None, rng=None,
                                    **config):
    """Build `fasterrcnn_mobilenet_v3_large_fpn` with torchvision's mask branch; torchvision has no name for it.

    Parameters, result and errors are those of `fasterrcnn_mobilenet_v3_large_fpn`.
    """
    return _mobilenet(models.maskrcnn_mobilenet_v3_large_fpn, weights, frozen_norm, rng, num_classes=num_classes,
                      trainable_layers=trainable_layers, **config)


def _mobilenet(builder, weights, frozen_norm, rng, **arguments):
    """Call a builder on MobileNetV3, whose norms are frozen if it begins with weights and nobody says otherwise."""
    frozen_norm = weights is not None if frozen_norm is None else frozen_norm
    return _with_weights(builder, weights, rng, frozen_norm=frozen_norm, **arguments)


def _resnet_fpn(builder, weights, norm_eps, rng, **arguments):
    """Call a builder of frozen batch norms, whose epsilon the published file decides if nobody else does."""
    if norm_eps is None and weights is not None:
        norm_eps = published_norm_eps(weights)
    return _with_weights(builder, weights, rng, norm_eps=norm_eps, **arguments)


def _with_weights(builder, weights, rng, **arguments):
    """Call a builder; with a file, draw nothing and load that."""
    if weights is None:
        return builder(rng=rng, **arguments)
    model = builder(rng=NO_DRAWS, **arguments)
    load_into(model, weights)
    return model
