"""A lighter body: MobileNetV3, which does with few multiplications what a residual network does with many.

A usual 3x3 convolution looks at the neighborhood and mixes the channels at once. Here the two are apart: a depthwise
convolution looks at the neighborhood of each channel by itself, and 1x1 convolutions mix. A block first expands its
few channels to several times as many, looks around there, where looking is cheap, and projects back to few; so it is
wide inside and narrow at its ends, an *inverted* residual block, and what is added around it is the narrow map. The
projection has no activation: in few channels, a ReLU would cut off too much.

Some blocks also weigh their wide channels before the projection. The map is squeezed to one mean a channel, two small
layers say from these means how much each channel matters in this image, and each channel is scaled by its answer.

As in torchvision's detectors, the pyramid gets the last two stages of the body: the first block at stride 32, and the
last convolution, which has the same stride. Sources: Howard et al. 2019 (MobileNetV3), Table 1; Sandler et al. 2018
(inverted residuals); Hu et al. 2018 (squeeze and excitation).
"""

from typing import NamedTuple

from .. import nn, ops


class Inverted(NamedTuple):
    """One row of the paper's table: an inverted residual block."""

    kernel: int         # of the depthwise convolution
    expanded: int       # channels inside
    out: int            # channels that come out
    squeeze: bool       # whether channels are weighed
    activation: str     # "relu" or "hardswish"
    stride: int


MOBILENET_V3_LARGE = [
    Inverted(3, 16, 16, False, "relu", 1),
    Inverted(3, 64, 24, False, "relu", 2), Inverted(3, 72, 24, False, "relu", 1),                       # stride 4
    Inverted(5, 72, 40, True, "relu", 2), *2 * [Inverted(5, 120, 40, True, "relu", 1)],                 # 8
    Inverted(3, 240, 80, False, "hardswish", 2), Inverted(3, 200, 80, False, "hardswish", 1),           # 16
    *2 * [Inverted(3, 184, 80, False, "hardswish", 1)],
    Inverted(3, 480, 112, True, "hardswish", 1), Inverted(3, 672, 112, True, "hardswish", 1),
    Inverted(5, 672, 160, True, "hardswish", 2), *2 * [Inverted(5, 960, 160, True, "hardswish", 1)]]    # 32


def stages_of_inverted_blocks(blocks, widths):
    """Make the rows of a small body: so many blocks and so many channels a stage, each of which halves the map.

    The first stage has kernels of 3x3 and does not expand: at its size that would cost most. The later ones have 5x5,
    expand threefold and weigh their channels; hardswish comes from the third on, where maps are small, as in the paper.

    Returns
    -------
    rows : list of Inverted
    returned : list of int
        Of the body's children, those that end a stage; the last stage is ended by the last convolution.

    Examples
    --------
    >>> rows, returned = stages_of_inverted_blocks((1, 2), (8, 12))
    >>> rows[1], returned
    (Inverted(kernel=5, expanded=24, out=12, squeeze=True, activation='relu', stride=2), [1, 4])
    """
    rows, returned, channels = [], [], widths[0]
    for stage, (depth, width) in enumerate(zip(blocks, widths)):
        for i in range(depth):
            expanded = channels if stage == 0 else 3 * channels
            activation = "relu" if stage < 2 else "hardswish"
            rows.append(Inverted(5 if stage else 3, expanded, width, stage > 0, activation, 1 if i else 2))
            channels = width
        returned.append(len(rows))
    return rows, [*returned[:-1], len(rows) + 1]


class SqueezeExcitation(nn.Module):
    """``x * hardsigmoid(fc2(relu(fc1(mean of x's pixels))))``: each channel is weighed by what the image has of all.

    Parameters
    ----------
    channels, squeezed : int
    rng : np.random.Generator or None
    """

    def __init__(self, channels, squeezed, rng=None):
        self.fc1 = nn.Conv2d(channels, squeezed, 1, rng=rng)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, rng=rng)

    def forward(self, x, notes):
        """Return the weighed (N, H, W, C)."""
        # fork: x -> mean, product
        mean, notes["mean"] = ops.global_avg_pool2d_forward(x)
        hidden = nn.relu(self.fc1.forward(mean, notes.of("fc1")), notes)
        scale, notes["scale"] = ops.hardsigmoid_forward(self.fc2.forward(hidden, notes.of("fc2")))
        y, notes["product"] = ops.scale_channels_forward(x, scale)
        return y

    def backward(self, dy, notes):
        """Return dx."""
        dx, dscale = ops.scale_channels_backward(dy, notes["product"])
        dhidden = self.fc2.backward(ops.hardsigmoid_backward(dscale, notes["scale"]), notes["fc2"])
        dmean = self.fc1.backward(ops.relu_backward(dhidden, notes["relu"]), notes["fc1"])
        dx += ops.global_avg_pool2d_backward(dmean, notes["mean"])          # join x: product + mean
        return dx


class InvertedResidual(nn.Module):
    """Expand, look around, weigh, project; and add the input, where the shape has stayed.

    Parameters
    ----------
    in_channels : int
    settings : Inverted
    norm : callable
        ``norm(channels)`` makes a normalization layer.
    rng : np.random.Generator or None
    """

    def __init__(self, in_channels, settings, norm, rng=None):
        kernel, expanded, out, squeeze, activation, stride = settings
        layers = []
        if expanded != in_channels:
            layers.append(pointwise(in_channels, expanded, norm, activation, rng))
        depthwise = nn.DepthwiseConv2d(expanded, kernel, stride, kernel // 2, bias=False, rng=rng)
        layers.append(nn.ConvNormActivation(depthwise, norm(expanded), activation))
        if squeeze:
            layers.append(SqueezeExcitation(expanded, divisible(expanded // 4), rng))
        self.block = nn.Sequential(*layers, pointwise(expanded, out, norm, None, rng))
        self.has_shortcut = stride == 1 and in_channels == out

    def forward(self, x, notes):
        """Return the block's output."""
        # fork: x -> block, shortcut
        y = self.block.forward(x, notes.of("block"))
        if self.has_shortcut:
            y += x                                                          # y is the projection's fresh output
        return y

    def backward(self, dy, notes):
        """Return dx."""
        dx = self.block.backward(dy, notes["block"])
        if self.has_shortcut:
            dx += dy                                                        # join x: block + shortcut
        return dx


class MobileNetV3(nn.ModuleList):
    """The body: a 3x3/2 convolution, inverted residual blocks, a 1x1 convolution; children 0, 1, ... in this order.

    Parameters
    ----------
    blocks : list of Inverted
    norm : callable
        ``norm(channels)`` makes a normalization layer.
    stem_channels : int
    returned : list of int, optional
        Which children's outputs are the feature maps; those of the last two stages if absent. Stages begin at the first
        and the last child and at every block with a stride.
    trainable_layers : int, optional
        How many stages are trained, from the top; all if absent.
    rng : np.random.Generator or None
    """

    def __init__(self, blocks, norm, stem_channels=16, returned=None, trainable_layers=None, rng=None):
        stem = nn.Conv2d(3, stem_channels, 3, 2, 1, bias=False, rng=rng)
        children = [nn.ConvNormActivation(stem, norm(stem_channels), "hardswish")]
        channels = [stem_channels, *(block.out for block in blocks), 6 * blocks[-1].out]
        for in_channels, settings in zip(channels, blocks):
            children.append(InvertedResidual(in_channels, settings, norm, rng))
        children.append(pointwise(channels[-2], channels[-1], norm, "hardswish", rng))
        super().__init__(children)
        starts = [0, *(i for i, block in enumerate(blocks, start=1) if block.stride > 1), len(blocks) + 1]
        self.returned = starts[-2:] if returned is None else returned
        self.out_channels = [channels[i] for i in self.returned]
        if trainable_layers is not None:
            for child in children[: [*starts, len(children)][len(starts) - trainable_layers]]:
                child.freeze()

    def forward(self, x, notes):
        """Turn (N, H, W, 3) into the list of feature maps."""
        features = []
        for i, (name, child) in enumerate(self.named_children()):
            x = child.forward(x, notes.of(name))
            if i in self.returned:
                features.append(x)                                  # fork: C_k -> the FPN, the next child
        return features

    def backward(self, dfeatures, notes, need_dx=False):
        """Add to the parameters' gradients; return the gradient by the images if `need_dx`, else None.

        The way back ends at the lowest trainable child: below it nobody would use the gradient.
        """
        dfeatures, children = list(dfeatures), list(self)
        lowest = 0 if need_dx else next((i for i, child in enumerate(children) if child.is_trainable), len(children))
        dx = None
        for i in reversed(range(lowest, len(children))):
            if i in self.returned:
                if dx is None:
                    dx = dfeatures.pop()
                else:
                    dx += dfeatures.pop()                           # join C_k: next child + FPN
            if i == 0:
                return children[0].backward(dx, notes["0"], need_dx)
            dx = children[i].backward(dx, notes[str(i)])
        return None


def pointwise(in_channels, out_channels, norm, activation, rng):
    """A 1x1 convolution with its norm and activation: what mixes the channels."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False, rng=rng)
    return nn.ConvNormActivation(conv, norm(out_channels), activation)


def divisible(channels):
    """Round to a multiple of 8, at least 8, and not down by more than a tenth, as torchvision does.

    Examples
    --------
    >>> [divisible(channels) for channels in (4, 18, 30, 168)]
    [8, 24, 32, 168]
    """
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
