"""The modules on which the contract, the gradients and the state are tested, and how to call them alike."""

import numpy as np
import scipy.sparse

from npmaskrcnn import nn
from npmaskrcnn.stages import box_head, fpn, mask_head, mobilenet, resnet, rpn
from npmaskrcnn.stages.roi_pooler import RoIPooler

ROIS = np.array([[0, 1.0, 2.0, 29.5, 17.0], [1, 0.0, 0.5, 124.0, 91.0], [1, 30.0, 3.0, 33.5, 40.0],
                 [0, 10.0, 3.0, 300.0, 270.0], [0, 5.0, 60.0, 130.0, 100.0]])
PYRAMID = [(2, 12, 17, 4), (2, 6, 9, 4), (2, 3, 5, 4), (2, 2, 3, 4)]
TAKES_A_LIST = (fpn.FeaturePyramidNetwork, rpn.RPNHead, RoIPooler)


def block(kind, in_channels, planes, stride, norm, rng, **groups):
    convolutions = kind(in_channels, planes, stride, rng, **groups)
    out_channels = convolutions[-1].weight.data.shape[-1]
    changes = stride != 1 or in_channels != out_channels
    shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False, rng=rng) if changes else None
    return resnet.ResidualBlock(convolutions, norm, shortcut)


def body(norm, rng, kind=resnet.basic_block, trainable_layers=5):
    return resnet.ResNet(kind, (1, 2, 1, 1), (4, 4, 6, 6), norm, 4, 3, trainable_layers=trainable_layers, rng=rng)


def light_body(norm, rng, trainable_layers=4):
    blocks = [mobilenet.Inverted(3, 4, 4, False, "relu", 1), mobilenet.Inverted(5, 6, 5, True, "hardswish", 2),
              mobilenet.Inverted(3, 7, 5, True, "relu", 1)]
    return mobilenet.MobileNetV3(blocks, norm, 4, [1, 3, 4], trainable_layers, rng)


FROZEN, BATCH = nn.FrozenBatchNorm2d, nn.BatchNorm2d
# Each case: how to build the module (with another norm, if wanted), the shapes of its inputs, and its state's
# shapes in torchvision's layout (None where the state is that of many children).
CASES = {
    "conv 3x3": (lambda rng, norm=None: nn.Conv2d(4, 6, 3, padding=1, rng=rng), [(2, 5, 7, 4)],
                 {"weight": (6, 4, 3, 3), "bias": (6,)}),
    "conv 3x3/2 grouped": (lambda rng, norm=None: nn.Conv2d(4, 6, 3, 2, 1, groups=2, bias=False, rng=rng),
                [(2, 6, 7, 4)],
                           {"weight": (6, 2, 3, 3)}),
    "conv 1x1/2": (lambda rng, norm=None: nn.Conv2d(4, 3, 1, 2, bias=False, rng=rng),
                [(2, 6, 7, 4)], {"weight": (3, 4, 1, 1)}),
    "conv 7x7/2": (lambda rng, norm=None: nn.Conv2d(3, 4, 7, 2, 3, bias=False, rng=rng), [(2, 13, 18, 3)],
                   {"weight": (4, 3, 7, 7)}),
    "conv transpose": (lambda rng, norm=None: nn.ConvTranspose2d(4, 5, 2, 2, rng=rng), [(2, 3, 4, 4)],
                       {"weight": (4, 5, 2, 2), "bias": (5,)}),
    "linear": (lambda rng, norm=None: nn.Linear(6, 4, rng=rng), [(5, 6)], {"weight": (4, 6), "bias": (4,)}),
    "linear behind a flattening": (lambda rng, norm=None: nn.Linear(30, 4, flattened_from=(2, 3, 5), rng=rng),
                [(5, 30)],
                                   {"weight": (4, 30), "bias": (4,)}),
    "flatten": (lambda rng, norm=None: nn.Flatten(), [(4, 2, 3, 5)], {}),
    "relu": (lambda rng, norm=None: nn.ReLU(), [(2, 5, 7, 3)], {}),
    "max pool 3x3/2": (lambda rng, norm=None: nn.MaxPool2d(3, 2, 1), [(2, 6, 7, 3)], {}),
    "max pool 1x1/2": (lambda rng, norm=None: nn.MaxPool2d(1, 2), [(2, 6, 7, 3)], {}),
    "batch norm": (lambda rng, norm=BATCH: norm(3), [(2, 5, 7, 3)],
                   {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,),
                    "num_batches_tracked": ()}),
    "frozen batch norm": (lambda rng, norm=FROZEN: norm(3), [(2, 5, 7, 3)],
                          {"weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,)}),
    "sequential": (lambda rng, norm=FROZEN: nn.Sequential(nn.Conv2d(3, 4, 3, rng=rng), norm(4), nn.ReLU()),
                [(2, 6, 7, 3)], None),
    "conv-norm-relu": (lambda rng, norm=BATCH: nn.ConvNormReLU(nn.Conv2d(3, 4, 3, bias=False, rng=rng), norm(4)),
                       [(2, 6, 7, 3)], None),
    "conv-norm": (lambda rng, norm=FROZEN: nn.ConvNormReLU(nn.Conv2d(3, 4, 3, rng=rng), norm(4), relu=False),
                  [(2, 6, 7, 3)], None),
    "conv-relu": (lambda rng, norm=None: nn.ConvNormReLU(nn.Conv2d(3, 4, 3, rng=rng)), [(2, 6, 7, 3)], None),
    "flatten, relu": (lambda rng, norm=None: nn.Sequential(nn.Flatten(), nn.ReLU()), [(4, 2, 3, 5)], {}),
    "basic block": (lambda rng, norm=FROZEN: block(resnet.basic_block, 4, 4, 1, norm, rng),
                [(2, 5, 6, 4)], None),
    "basic block without norm": (lambda rng, norm=None: block(resnet.basic_block, 4, 6, 2, lambda channels: None, rng),
                                 [(2, 5, 6, 4)], None),
    "basic block, downsample": (lambda rng, norm=BATCH: block(resnet.basic_block, 4, 6, 2, norm, rng),
                [(2, 5, 6, 4)], None),
    "bottleneck": (lambda rng, norm=BATCH: block(resnet.bottleneck, 8, 2, 1, norm, rng),
                [(2, 5, 6, 8)], None),
    "bottleneck, downsample": (lambda rng, norm=FROZEN: block(resnet.bottleneck, 6, 2, 2, norm, rng),
                [(2, 5, 6, 6)], None),
    "bottleneck, grouped": (lambda rng, norm=FROZEN: block(resnet.bottleneck, 4, 2, 1, norm, rng, groups=2,
                                                           width_per_group=64),
                            [(2, 5, 6, 4)], None),
    "body": (lambda rng, norm=FROZEN: body(norm, rng), [(2, 33, 40, 3)], None),
    "body, batch norm": (lambda rng, norm=BATCH: body(norm, rng), [(2, 40, 33, 3)], None),
    "body of bottlenecks": (lambda rng, norm=FROZEN: body(norm, rng, resnet.bottleneck),
                [(1, 37, 50, 3)], None),
    "body, half frozen": (lambda rng, norm=BATCH: body(norm, rng, trainable_layers=2),
                [(2, 40, 33, 3)], None),
    "depthwise": (lambda rng, norm=None: nn.DepthwiseConv2d(4, 3, 2, 1, rng=rng), [(2, 6, 7, 4)],
                  {"weight": (4, 1, 3, 3), "bias": (4,)}),
    "conv-norm-hardswish": (lambda rng, norm=BATCH: nn.ConvNormActivation(nn.Conv2d(3, 4, 3, bias=False, rng=rng),
                                                                          norm(4), "hardswish"), [(2, 6, 7, 3)], None),
    "depthwise-norm-relu": (lambda rng, norm=FROZEN: nn.ConvNormActivation(
        nn.DepthwiseConv2d(4, 5, 1, 2, rng=rng), norm(4), "relu"), [(2, 6, 7, 4)], None),
    "depthwise-norm": (lambda rng, norm=BATCH: nn.ConvNormActivation(
        nn.DepthwiseConv2d(4, 3, 1, 1, bias=False, rng=rng), norm(4)), [(2, 6, 7, 4)], None),
    "squeeze and excitation": (lambda rng, norm=None: mobilenet.SqueezeExcitation(5, 3, rng), [(2, 4, 7, 5)],
                               {"fc1.weight": (3, 5, 1, 1), "fc1.bias": (3,), "fc2.weight": (5, 3, 1, 1),
                                "fc2.bias": (5,)}),
    "inverted residual": (lambda rng, norm=BATCH: mobilenet.InvertedResidual(
        4, mobilenet.Inverted(3, 7, 4, True, "hardswish", 1), norm, rng), [(2, 5, 7, 4)], None),
    "inverted residual, narrower": (lambda rng, norm=FROZEN: mobilenet.InvertedResidual(
        6, mobilenet.Inverted(5, 6, 4, False, "relu", 2), norm, rng), [(2, 6, 7, 6)], None),
    "light body": (lambda rng, norm=FROZEN: light_body(norm, rng), [(2, 13, 18, 3)], None),
    "light body, batch norm": (lambda rng, norm=BATCH: light_body(norm, rng), [(2, 16, 11, 3)], None),
    "light body, half frozen": (lambda rng, norm=BATCH: light_body(norm, rng, 2), [(2, 13, 18, 3)], None),
    "pyramid": (lambda rng, norm=None: fpn.FeaturePyramidNetwork([3, 4, 5, 6], 4, rng=rng),
                [(2, 12, 17, 3), (2, 6, 9, 4), (2, 3, 5, 5), (2, 2, 3, 6)], None),
    "pyramid, norm": (lambda rng, norm=BATCH: fpn.FeaturePyramidNetwork([3, 4, 5, 6], 4, norm=norm, rng=rng),
                      [(2, 12, 17, 3), (2, 6, 9, 4), (2, 3, 5, 5), (2, 2, 3, 6)], None),
    "rpn head": (lambda rng, norm=None: rpn.RPNHead(4, 3, rng=rng), PYRAMID, None),
    "rpn head, two convolutions": (lambda rng, norm=None: rpn.RPNHead(4, 2, 2, rng=rng), PYRAMID[:2], None),
    "roi pooler": (lambda rng, norm=None: RoIPooler(3, canonical_scale=56), PYRAMID, {}),
    "two-layer head": (lambda rng, norm=None: box_head.TwoMLPHead(4, 3, 6, rng=rng), [(5, 3, 3, 4)], None),
    "conv-fc head": (lambda rng, norm=BATCH: box_head.conv_fc_head(4, 3, 6, norm, rng=rng),
                [(5, 3, 3, 4)], None),
    "box predictor": (lambda rng, norm=None: box_head.FastRCNNPredictor(6, 5, rng=rng), [(7, 6)], None),
    "mask head": (lambda rng, norm=None: mask_head.mask_head(3, (4, 5), rng=rng), [(4, 5, 5, 3)], None),
    "mask head, norm": (lambda rng, norm=BATCH: mask_head.mask_head(3, (4, 5), norm, rng=rng),
                [(4, 5, 5, 3)], None),
    "mask predictor": (lambda rng, norm=None: mask_head.MaskRCNNPredictor(4, 5, 3, rng=rng),
                [(4, 5, 5, 4)], None),
}
NAMES = list(CASES)


def make(name, dtype="float64", seed=0):
    """Build the module of a case, away from symmetry: norms not 1, biases and running statistics not 0."""
    rng = np.random.default_rng(seed)
    module = CASES[name][0](rng)
    for key, owner in module.named_arrays():
        if np.issubdtype(owner.data.dtype, np.floating):
            noisy = owner.data + rng.uniform(-0.3, 0.3, owner.data.shape).astype(np.float32)
            owner.data = (np.abs(noisy) if key.endswith("var") else noisy).astype(dtype)
    return module


def make_inputs(name, dtype="float64", seed=0):
    rng = np.random.default_rng(100 + seed)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in CASES[name][1]]
    for x in inputs:
        x.flags.writeable = False
    return inputs


def arguments(module, inputs):
    if isinstance(module, RoIPooler):
        return inputs, ROIS.astype(inputs[0].dtype)
    return (inputs if isinstance(module, TAKES_A_LIST) else inputs[0],)


def forward(module, inputs, batch_statistics=True):
    """Return the list of outputs as they are nested, and the notes."""
    notes = nn.Notes(batch_statistics)
    outputs = module.forward(*arguments(module, inputs), notes)
    return list(outputs) if isinstance(outputs, tuple) else [outputs], notes


def backward(module, outputs, dys, notes):
    """Hand the flat list `dys` to backward in the nesting of `outputs`; return the flat list of dx."""
    dys = iter(dys)
    nested = [[next(dys) for _ in y] if isinstance(y, list) else next(dys) for y in outputs]
    options = {"need_dx": True} if isinstance(module, (resnet.ResNet, mobilenet.MobileNetV3)) else {}
    dx = module.backward(*nested, notes, **options)
    return dx if isinstance(dx, list) else [dx]


def flat(outputs):
    return [array for y in outputs for array in (y if isinstance(y, (list, tuple)) else [y])]


def upstream(outputs, seed=0):
    """Random gradients that must not be written to."""
    rng = np.random.default_rng(200 + seed)
    dys = [rng.standard_normal(y.shape).astype(y.dtype) for y in flat(outputs)]
    for dy in dys:
        dy.flags.writeable = False
    return dys


def parameters(module):
    return {key: parameter for key, parameter in module.named_parameters() if parameter.trainable}


def grads(module):
    return {key: parameter.grad.copy() for key, parameter in parameters(module).items()}


def arrays_in(notes):
    """All arrays in notes, and in whatever operations have filed there."""
    if isinstance(notes, np.ndarray):
        return [notes]
    if scipy.sparse.issparse(notes):
        return [notes.data, notes.indices, notes.indptr]
    if isinstance(notes, dict):
        notes = list(notes.values())
    return [array for part in notes for array in arrays_in(part)] if isinstance(notes, (tuple, list)) else []


def has_batch_norm(module):
    return any(isinstance(m, nn.BatchNorm2d) for _, m in module.named_modules())
