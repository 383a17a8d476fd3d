"""Stage 3, the feature pyramid: maps that know both what and where, at every scale.

C5 knows what it sees but has one cell per 32x32 pixels; C2 has fine cells but shallow knowledge. The
pyramid brings the knowledge down: starting from C5, each coarser map is enlarged to twice its size and
added to a 1x1 convolution (the lateral) of the next finer one. A 3x3 convolution then smooths each sum
into the outputs P2..P5. P6, for the largest anchors only, is every second cell of P5.

Source: Lin et al. 2017, Fig. 3. There is no activation function anywhere, and it is the un-smoothed sum,
not the 3x3 output, that propagates down. The attribute names and the second ``.0`` in the keys are
torchvision's (each convolution is wrapped in a Sequential, so that v2 can put a batch norm behind it).
"""

from .. import nn, ops


class FeaturePyramidNetwork(nn.Module):
    """[C2, C3, C4, C5] -> [P2, P3, P4, P5, P6], all with `out_channels` channels.

    Parameters
    ----------
    in_channels : list of int
        Channels of C2..C5.
    out_channels : int
    norm : callable or None
        With a norm (v2), convolutions have no bias and are followed by ``norm(out_channels)``.
    rng : np.random.Generator or None
    """

    def __init__(self, in_channels, out_channels, norm=None, rng=None):
        def conv(channels, kernel_size):
            layer = nn.Conv2d(channels, out_channels, kernel_size, padding=kernel_size // 2, bias=norm is None,
                              init=nn.init.kaiming_uniform, rng=rng)
            return nn.ConvNormReLU(layer, None if norm is None else norm(out_channels), relu=False)

        self.inner_blocks = nn.ModuleList([conv(channels, 1) for channels in in_channels])
        self.layer_blocks = nn.ModuleList([conv(out_channels, 3) for _ in in_channels])

    def forward(self, features, notes):
        """Return the maps, one more than given; notes by level, 0 for the finest."""
        outputs, merged = [], None
        for i in reversed(range(len(features))):                # C5 -> C2, the top-down path
            level = notes.of(i)
            lateral = self.inner_blocks[i].forward(features[i], level.of("inner"))
            if merged is not None:                              # from level i + 1, enlarged to this level's size
                upsampled, level["upsample"] = ops.upsample_nearest_forward(merged, lateral.shape[1:3])
                lateral += upsampled                            # lateral is fresh: the convolution's output
                del upsampled                                   # as large as the level, and no longer needed
            merged = lateral                                    # fork: merged -> layer block, upsampled for i - 1
            outputs.insert(0, self.layer_blocks[i].forward(merged, level.of("layer")))
        p6, notes["pool"] = ops.max_pool2d_forward(outputs[-1], 1, 2)
        return outputs + [p6]                                   # fork: P5 -> RPN and heads, P6

    def backward(self, doutputs, notes):
        """Return [dC2, dC3, dC4, dC5]."""
        *douts, dp6 = doutputs
        douts[-1] = douts[-1] + ops.max_pool2d_backward(dp6, notes["pool"])     # join P5: RPN and heads + P6
        dfeatures, dupsampled = [], None
        for i, dout in enumerate(douts):                        # P2 -> P5: the forward loop, reversed
            dmerged = self.layer_blocks[i].backward(dout, notes[i]["layer"])
            if dupsampled is not None:
                dmerged += dupsampled                           # join merged: layer block + level i - 1
            dfeatures.append(self.inner_blocks[i].backward(dmerged, notes[i]["inner"]))
            if i + 1 < len(douts):
                dupsampled = ops.upsample_nearest_backward(dmerged, notes[i]["upsample"])
        return dfeatures
