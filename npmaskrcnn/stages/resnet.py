"""Stage 2, the body: a residual network that turns the image into feature maps C2, C3, C4, C5.

The stem, a convolution and a max-pool, shrinks the image fourfold, so that C2 has one cell per 4x4 pixels; each of
the three later stages halves the resolution again (C5: one cell per 32x32) and widens the channels: a coarser grid,
whose cells see more of the image. The net is made of residual blocks: a few convolutions compute a
correction, which is added to the block's input. Because of that addition the gradient has a direct way back through
the whole depth; in the backward pass it shows as a join of two gradients, one through the convolutions and one around
them.

Sources: He et al. 2016 (ResNet), Xie et al. 2017 (ResNeXt). As in torchvision, the stride of a bottleneck
sits in its 3x3 convolution ("v1.5"), not in the first 1x1 as the paper has it.
"""

from .. import nn


class ResidualBlock(nn.Module):
    """``relu(path(x) + shortcut(x))``; the path is conv-norm-relu-...-conv-norm.

    Parameters
    ----------
    convolutions : list of nn.Conv2d
        Two for a basic block (3x3, 3x3), three for a bottleneck (1x1, 3x3, 1x1).
    norm : callable
        ``norm(channels)`` makes a normalization layer; it may return None, for no norm.
    downsample : nn.Conv2d or None
        1x1 convolution of the shortcut, where the shape changes; None for the identity.
    """

    def __init__(self, convolutions, norm, downsample=None):
        for i, conv in enumerate(convolutions, start=1):
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", norm(conv.weight.data.shape[-1]))
        self.downsample = None
        if downsample is not None:
            self.downsample = nn.ConvNormReLU(downsample, norm(downsample.weight.data.shape[-1]), relu=False)
        self.depth = len(convolutions)

    def layers(self):
        """List ``(name, convolution, its norm)`` of the path, in forward order."""
        return [(f"conv{i}", getattr(self, f"conv{i}"), getattr(self, f"bn{i}")) for i in range(1, self.depth + 1)]

    def forward(self, x, notes):
        """Return the block's output; notes by the names of the convolutions, and ``downsample``."""
        # fork: x -> path, shortcut
        shortcut = x if self.downsample is None else self.downsample.forward(x, notes.of("downsample"))
        *first, (name, conv, norm) = self.layers()
        y = x
        for inner_name, inner_conv, inner_norm in first:
            y = nn.conv_norm_relu(y, inner_conv, inner_norm, notes.of(inner_name))
        return nn.conv_norm_relu(y, conv, norm, notes.of(name), shortcut)

    def backward(self, dy, notes):
        """Return dx."""
        *first, (name, conv, norm) = self.layers()
        dx, dshortcut = nn.conv_norm_relu_backward(dy, conv, norm, notes[name])
        for inner_name, inner_conv, inner_norm in reversed(first):
            dx, _ = nn.conv_norm_relu_backward(dx, inner_conv, inner_norm, notes[inner_name])
        if self.downsample is not None:
            dshortcut = self.downsample.backward(dshortcut, notes["downsample"])
        dx += dshortcut                                         # join x: path + shortcut
        return dx


def basic_block(in_channels, planes, stride, rng, **_):
    """Two 3x3 convolutions (ResNet-18 and -34, and the tiny model); the output has `planes` channels."""
    return [nn.Conv2d(in_channels, planes, 3, stride, 1, bias=False, rng=rng),
            nn.Conv2d(planes, planes, 3, 1, 1, bias=False, rng=rng)]


def bottleneck(in_channels, planes, stride, rng, groups=1, width_per_group=64):
    """1x1 to fewer channels, 3x3 there, 1x1 to four times `planes` (ResNet-50 and deeper, ResNeXt)."""
    width = int(planes * (width_per_group / 64.0)) * groups
    return [nn.Conv2d(in_channels, width, 1, bias=False, rng=rng),
            nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False, rng=rng),
            nn.Conv2d(width, 4 * planes, 1, bias=False, rng=rng)]


class ResNet(nn.Module):
    """The body: stem, then four stages of residual blocks.

    Parameters
    ----------
    block : callable
        `basic_block` or `bottleneck`.
    depths : four ints
        Blocks per stage.
    widths : four ints
        `planes` per stage.
    norm : callable
        ``norm(channels)`` makes a normalization layer.
    stem_channels, stem_kernel : int
        Of the first convolution (stride 2), which a 3x3/2 max-pool follows.
    groups, width_per_group : int
        ResNeXt's cardinality and width.
    trainable_layers : int, 0..5
        How many of layer4, layer3, layer2, layer1 and the stem are trained, from the top.
    rng : np.random.Generator or None
    """

    def __init__(self, block, depths, widths, norm, stem_channels=64, stem_kernel=7, groups=1,
                 width_per_group=64, trainable_layers=5, rng=None):
        self.conv1 = nn.Conv2d(3, stem_channels, stem_kernel, 2, stem_kernel // 2, bias=False, rng=rng)
        self.bn1 = norm(stem_channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        in_channels = stem_channels
        self.out_channels = []
        for stage, (depth, planes) in enumerate(zip(depths, widths), start=1):
            blocks = []
            for i in range(depth):
                stride = 2 if stage > 1 and i == 0 else 1
                convolutions = block(in_channels, planes, stride, rng, groups=groups, width_per_group=width_per_group)
                out_channels = convolutions[-1].weight.data.shape[-1]
                shortcut = None
                if stride != 1 or in_channels != out_channels:
                    shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False, rng=rng)
                blocks.append(ResidualBlock(convolutions, norm, shortcut))
                in_channels = out_channels
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            self.out_channels.append(in_channels)
        # From the top; the stem's norm goes with its convolution.
        for name in ["layer4", "layer3", "layer2", "layer1", "conv1"][trainable_layers:]:
            getattr(self, name).freeze()
        if trainable_layers < 5:
            self.bn1.freeze()

    def stages(self):
        """List ``(name, module)`` of the four stages, in forward order."""
        return [(f"layer{i}", getattr(self, f"layer{i}")) for i in range(1, 5)]

    def forward(self, x, notes):
        """Turn (N, H, W, 3) into [C2, C3, C4, C5] at strides 4, 8, 16, 32."""
        x = nn.conv_norm_relu(x, self.conv1, self.bn1, notes.of("conv1"))
        x = self.maxpool.forward(x, notes.of("maxpool"))
        features = []
        for name, stage in self.stages():
            x = stage.forward(x, notes.of(name))
            features.append(x)                                  # fork: C_k -> the FPN, the next stage
        return features

    def backward(self, dfeatures, notes, need_dx=False):
        """Add to the parameters' gradients; return the gradient by the images if `need_dx`, else None.

        The way back ends at the lowest trainable stage: below it nobody would use the gradient.
        """
        stem_is_wanted = need_dx or self.conv1.is_trainable or self.bn1.is_trainable
        dx = None
        for i, (name, stage) in reversed(list(enumerate(self.stages()))):
            if dx is None:
                dx = dfeatures[i]
            else:
                dx += dfeatures[i]                              # join C_k: next stage + FPN
            if not (stem_is_wanted or any(module.is_trainable for _, module in self.stages()[:i + 1])):
                return None
            dx = stage.backward(dx, notes[name])
        if not stem_is_wanted:
            return None
        dx = self.maxpool.backward(dx, notes["maxpool"])
        return nn.conv_norm_relu_backward(dx, self.conv1, self.bn1, notes["conv1"], need_dx)[0]
