"""Stage 4, the anchors: a fixed set of boxes, laid over the image in advance, for the RPN to judge.

On every cell of every pyramid level sit a few boxes of that level's size, one per aspect ratio. They do
not depend on the image's content; the network's work is only to say which of them cover an object and
how they must be moved to cover it well. Small anchors sit on fine maps, large ones on coarse maps.

Details are torchvision's: ratio is height / width, the cell's boxes are rounded to whole half-sides, the grid
starts at the image's top left corner with no half-cell offset (so an anchor is centered on its cell's corner), and
the stride is the padded image's size divided by the map's size, rounded down. Source: Ren et al. 2015, section
3.1.1; Lin et al. 2017, 4.1.
"""

import numpy as np


def cell_anchors(sizes, aspect_ratios, dtype=np.float32):
    """Return the anchors of one cell, centered on the origin.

    Parameters
    ----------
    sizes : sequence of float
        Square roots of the areas, in input pixels.
    aspect_ratios : sequence of float
        Height / width.

    Returns
    -------
    anchors : (len(aspect_ratios) * len(sizes), 4) ndarray
        Ratio-major, size-minor.

    Examples
    --------
    >>> cell_anchors([32], [0.5, 1.0, 2.0])
    array([[-23., -11.,  23.,  11.],
           [-16., -16.,  16.,  16.],
           [-11., -23.,  11.,  23.]], dtype=float32)
    """
    sizes = np.asarray(sizes, dtype=np.float32)
    height_ratios = np.sqrt(np.asarray(aspect_ratios, dtype=np.float32))
    widths = ((1 / height_ratios)[:, None] * sizes).ravel()
    heights = (height_ratios[:, None] * sizes).ravel()
    # np.round rounds halves to even, as torch does. Adding 0 turns -0.0 into 0.0.
    return (np.round(np.stack([-widths, -heights, widths, heights], axis=1) / 2) + 0).astype(dtype)


def grid_anchors(base_anchors, grid_size, stride):
    """Repeat the anchors of one cell over a grid.

    Parameters
    ----------
    base_anchors : (A, 4) ndarray
    grid_size : (h, w)
    stride : (stride_y, stride_x)
        In input pixels.

    Returns
    -------
    anchors : (h * w * A, 4) ndarray
        Row order y, x, anchor: that of a (h, w, A) map of logits, flattened.
    """
    dtype = base_anchors.dtype
    y = np.arange(grid_size[0], dtype=dtype) * stride[0]
    x = np.arange(grid_size[1], dtype=dtype) * stride[1]
    shift_y, shift_x = np.meshgrid(y, x, indexing="ij")
    shifts = np.stack([shift_x, shift_y, shift_x, shift_y], axis=-1)
    return (shifts[:, :, None, :] + base_anchors).reshape(-1, 4)


class AnchorGenerator:
    """Anchors of all pyramid levels.

    Parameters
    ----------
    sizes : one tuple of sizes per level
        ((32,), (64,), (128,), (256,), (512,)) for P2..P6 in torchvision.
    aspect_ratios : one tuple of ratios per level
    """

    def __init__(self, sizes, aspect_ratios):
        self.sizes, self.aspect_ratios = sizes, aspect_ratios
        self._last = None, None         # anchors depend on sizes only, and a training's images are mostly of one size

    def num_anchors_per_location(self):
        """Count the anchors of a cell, per level."""
        return [len(s) * len(r) for s, r in zip(self.sizes, self.aspect_ratios)]

    def strides(self, grid_sizes, padded_size):
        """Return (stride_y, stride_x) per level: integer division, so 800 / 13 rows is 61, not 64."""
        return [(padded_size[0] // h, padded_size[1] // w) for h, w in grid_sizes]

    def __call__(self, grid_sizes, padded_size, dtype=np.float32):
        """Return the anchors as a list, one (h * w * A, 4) array per level.

        Parameters
        ----------
        grid_sizes : list of (h, w)
            Of the pyramid's maps.
        padded_size : (H', W')
            Of the batch, padding included. The anchors are the same for all its images. Do not write to them.
        """
        question = tuple(grid_sizes), tuple(padded_size), np.dtype(dtype)
        if self._last[0] != question:
            strides = self.strides(grid_sizes, padded_size)
            anchors = [grid_anchors(cell_anchors(s, r, dtype), grid_size, stride)
                       for s, r, grid_size, stride in zip(self.sizes, self.aspect_ratios, grid_sizes, strides)]
            self._last = question, anchors
        return list(self._last[1])
