"""Stage 2, the body: a residual network that turns the image into feature maps C2, C3, C4, C5.

The stem and a max-pool shrink the image fourfold, so that C2 has one cell per 4x4 pixels; each of the three
later stages halves the resolution again (C5: one cell per 32x32) and widens the channels. The maps say less
and less about where, more and more about what. The net is made of
residual blocks: a few convolutions compute a correction, which is added to the block's input. Because of
that addition the gradient has a direct way back through the whole depth; in the backward pass it shows as
a join of two gradients, one through the convolutions and one around them.

Sources: He et al. 2016 (ResNet), Xie et al. 2017 (ResNeXt). As in torchvision, the stride of a bottleneck
sits in its 3x3 convolution ("v1.5"), not in the first 1x1 as the paper has it.
"""

import numpy as np

from .. import nn, ops


class ResidualBlock(nn.Module):
    """``relu(shortcut(x) + path(x))``; the path is conv-norm-relu-...-conv-norm.

    Parameters
    ----------
    convolutions : list of nn.Conv2d
        Two for a basic block (3x3, 3x3), three for a bottleneck (1x1, 3x3, 1x1).
    norm : callable
        ``norm(channels)`` makes a normalisation layer.
    downsample : nn.Conv2d or None
        1x1 convolution of the shortcut, where the shape changes; None for the identity.
    """

    def __init__(self, convolutions, norm, downsample=None):
        self.depth = len(convolutions)
        for i, conv in enumerate(convolutions, start=1):
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", norm(conv.weight.data.shape[-1]))
        self.downsample = None
        if downsample is not None:
            self.downsample = nn.Sequential(downsample, norm(downsample.weight.data.shape[-1]))

    def _steps(self):
        """List (conv name, conv, norm name, norm) in forward order."""
        names = [(f"conv{i}", f"bn{i}") for i in range(1, self.depth + 1)]
        return [(c, getattr(self, c), b, getattr(self, b)) for c, b in names]

    def forward(self, x):
        """Return ``(y, cache)``; the cache is keyed by child name, and ``relu1``, ... for the activations."""
        cache = {}
        y = x                                                   # fork: x -> path, shortcut
        for i, (conv_name, conv, norm_name, norm) in enumerate(self._steps(), start=1):
            y, cache[conv_name] = conv.forward(y)
            y, cache[norm_name] = norm.forward(y)
            if i < self.depth:
                y, cache[f"relu{i}"] = ops.relu_forward(y)
        shortcut = x
        if self.downsample is not None:
            shortcut, cache["downsample"] = self.downsample.forward(x)
        y += shortcut                                           # y is the norm's own fresh output
        y, cache["relu"] = ops.relu_forward(y)
        return y, cache

    def backward(self, dy, cache):
        """Return dx."""
        dsum = ops.relu_backward(dy, cache["relu"])
        dpath = dsum                                            # the addition passes dsum to both its inputs
        for i, (conv_name, conv, norm_name, norm) in reversed(list(enumerate(self._steps(), start=1))):
            if i < self.depth:
                dpath = ops.relu_backward(dpath, cache[f"relu{i}"])
            dpath = norm.backward(dpath, cache[norm_name])
            dpath = conv.backward(dpath, cache[conv_name])
        dx = dpath
        dx += self.downsample.backward(dsum, cache["downsample"]) if self.downsample else dsum
        return dx                                               # join x: path + shortcut

    def __call__(self, x):
        y = x
        for i, (_, conv, _, norm) in enumerate(self._steps(), start=1):
            y = conv.with_norm(y, norm)
            if i < self.depth:
                np.maximum(y, 0, out=y)
        y += self.downsample(x) if self.downsample else x
        return np.maximum(y, 0, out=y)


def basic_block(in_channels, planes, stride, norm, rng, **_):
    """Two 3x3 convolutions (ResNet-18 and -34, and the tiny model); the output has `planes` channels."""
    return [nn.Conv2d(in_channels, planes, 3, stride, 1, bias=False, rng=rng),
            nn.Conv2d(planes, planes, 3, 1, 1, bias=False, rng=rng)]


def bottleneck(in_channels, planes, stride, norm, rng, groups=1, width_per_group=64):
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
        ``norm(channels)`` makes a normalisation layer.
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
                convolutions = block(in_channels, planes, stride, norm, rng,
                                     groups=groups, width_per_group=width_per_group)
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

    def forward(self, x):
        """Turn (N, H, W, 3) into [C2, C3, C4, C5] at strides 4, 8, 16, 32; also return the cache."""
        cache = {}
        x, cache["conv1"] = self.conv1.forward(x)
        x, cache["bn1"] = self.bn1.forward(x)
        x, cache["relu"] = ops.relu_forward(x)
        x, cache["maxpool"] = self.maxpool.forward(x)
        features = []
        for name, stage in self.stages():
            x, cache[name] = stage.forward(x)
            features.append(x)                                  # fork: C_k -> the FPN, the next stage
        return features, cache

    def backward(self, dfeatures, cache, need_dx=False):
        """Add to the parameters' gradients; return the gradient by the images if `need_dx`, else None.

        The way back ends at the lowest trainable stage: below it nobody would use the gradient.
        """
        dx = None
        for i, (name, stage) in reversed(list(enumerate(self.stages()))):
            below = [self.conv1, self.bn1] + [s for _, s in self.stages()[:i]]
            if dx is None:
                dx = dfeatures[i]
            else:
                dx += dfeatures[i]                              # join C_k: next stage + FPN
            wanted_below = need_dx or any(module.is_trainable for module in below)
            if not (wanted_below or stage.is_trainable):
                return None
            dx = stage.backward(dx, cache[name])
        if not (need_dx or self.conv1.is_trainable or self.bn1.is_trainable):
            return None
        dx = self.maxpool.backward(dx, cache["maxpool"])
        dx = ops.relu_backward(dx, cache["relu"])
        dx = self.bn1.backward(dx, cache["bn1"])
        return self.conv1.backward(dx, cache["conv1"], need_dx=need_dx)

    def __call__(self, x):
        x = self.conv1.with_norm(x, self.bn1)
        x = self.maxpool(np.maximum(x, 0, out=x))
        features = []
        for _, stage in self.stages():
            x = stage(x)
            features.append(x)
        return features
