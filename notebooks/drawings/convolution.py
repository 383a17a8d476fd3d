"""The figures of lesson 02: one number of a convolution, its windows as rows of a matrix and on the image, and the
way back, once as stamps that add up and once as seen from a pixel. Images are blue, outputs purple, gradients orange,
weights gray; numbers that have a sign are blue below zero and red above. A vermilion frame is what one looks at."""

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from npmaskrcnn import ops
from npmaskrcnn.notebook import draw_cells, heading
from npmaskrcnn.plots.style import CURVE, INK, MUTED, NEGATIVE, NORMAL, SMALL, new_figure, show_image

SIGNED = {"cmap": "RdBu_r", "limits": (-750, 750)}
FEW_BLUES, FEW_SIGNED = (matplotlib.colormaps[name].resampled(n) for name, n in (("Blues", 12), ("RdBu_r", 15)))


def plain(ax, text, row, column, size=13):
    """A sign or a word between arrays."""
    ax.text(column, row, text, ha="center", va="center", fontsize=size)


def one_channel(image, kernel, stride=1):
    """The convolution of an (H, W) image with one kernel."""
    return ops.conv2d_forward(image[None, :, :, None], kernel[:, :, None, None], stride=stride)[0][0, :, :, 0]


def one_number(channel, kernel, row, column):
    """Above, one window (row, column: its upper left pixel), the kernel and their products; below, all windows."""
    window = channel[row:row + 3, column:column + 3]
    figure = new_figure(8.6, 5)
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.7])
    ax = above.subplots()
    draw_cells(ax, window, title="window", limits=(0, 300))
    draw_cells(ax, kernel, title="kernel", cmap="RdBu_r", limits=(-3, 3), origin=(0, 5))
    draw_cells(ax, window * kernel, title="products", origin=(0, 10), **SIGNED)
    number = np.array([[(window * kernel).sum()]])
    draw_cells(ax, number, title="their sum", frame=(0, 0, 1, 1), origin=(1, 15), **SIGNED)
    for x, sign in ((4, "x"), (9, "="), (14, "\u2192")):
        plain(ax, sign, 1.5, x)
    ax.set(xlim=(-1, 17))
    left, right = below.subplots(1, 2)
    artist = show_image(left, channel, cmap=FEW_BLUES, vmin=0, vmax=300)
    figure.colorbar(artist, ax=left, shrink=0.8)
    answers = np.full(channel.shape, np.nan)
    answers[1:-1, 1:-1] = one_channel(channel, kernel)
    artist = show_image(right, answers, cmap=FEW_SIGNED, vmin=-750, vmax=750)
    figure.colorbar(artist, ax=right, shrink=0.8)
    for ax, title in ((left, "red channel of the image"), (right, "feature map: the sum of every window")):
        ax.set_title(title)
        ax.add_patch(Rectangle((column, row), 3, 3, fill=False, edgecolor=NEGATIVE, linewidth=2))
    heading(above, "The same question at every place: does it get brighter to the right?")
    figure.set_label("Above: the 3x3 window at the triangle's left edge, the kernel, nine products and their sum, "
                     "556. Below: the red channel, and the feature map of all sums: red where it gets brighter to "
                     "the right, blue where it gets darker.")
    return figure


def windows_as_rows(image, kernel, twice):
    """An image, its windows as rows of a matrix, and the product; the number `twice` is framed wherever it stands."""
    size = tuple(np.subtract(image.shape, kernel.shape) + 1)
    rows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape).reshape(-1, kernel.size)
    column, places = kernel.reshape(-1, 1), [(*place, 1, 1) for place in np.argwhere(rows == twice)]
    figure = new_figure(8.6, 3.7)
    ax = figure.subplots()
    draw_cells(ax, image, title="image", frame=[(0, 0, 2, 2), *[(*p, 1, 1) for p in np.argwhere(image == twice)]],
               frame_color=(INK, NEGATIVE), origin=(1.5, 0))
    draw_cells(ax, rows, title="its windows as rows", limits=(1, 12), frame=[(0, 0, 1, 4), *places],
               frame_color=(INK, *[NEGATIVE] * len(places)), origin=(0, 5))
    draw_cells(ax, column, title="kernel", cmap="RdBu_r", limits=(-3, 3), origin=(1, 10))
    draw_cells(ax, rows @ column, title="product", cmap="Purples", frame=(0, 0, 1, 1), frame_color=INK, origin=(0, 12))
    draw_cells(ax, (rows @ column).reshape(size), title="as an image", cmap="Purples", frame=(0, 0, 1, 1),
               frame_color=INK, origin=(2, 14))
    for x, sign in ((9.5, "@"), (11.5, "="), (13.5, "=")):
        plain(ax, sign, 3, x)
    heading(figure, "A convolution is: lay out the windows as rows, multiply once")
    figure.set_label("A 3x4 image with the numbers 1 to 12; its six 2x2 windows as rows of a 6x4 matrix; the kernel"
                     " as a column; the product, six numbers, as a 2x3 image. The number 6 is framed; it stands in "
                     "four rows.")
    return figure


def steps(setting, size=(5, 7), kernel=3):
    """Where the windows of an image stand, and how many outputs they are, for a (stride, padding)."""
    stride, padding = setting
    out = [(s + 2 * padding - kernel) // stride + 1 for s in size]
    reach = [(o - 1) * stride + kernel for o in out]        # the first row and column under no window
    cells = np.pad(np.full(size, 3.0), padding, constant_values=0.6)
    cells[reach[0]:], cells[:, reach[1]:] = np.nan, np.nan
    figure = new_figure(8, 3.4)
    ax = figure.subplots()
    last = [(o - 1) * stride for o in out]
    draw_cells(ax, cells, fmt="", limits=(0, 9), frame=[(0, 0, kernel, kernel), (*last, kernel, kernel)],
               frame_color=(INK, NEGATIVE), origin=(1 - padding, 1 - padding))
    for i, j in np.ndindex(*out):
        middle = np.multiply((i, j), stride) + 1 - padding + kernel / 2
        ax.plot(middle[1], middle[0], "o", color=INK, markersize=4)
    draw_cells(ax, np.full(out, 3.0), fmt="", cmap="Purples", limits=(0, 9), origin=(1, 11),
               frame=[(0, 0, 1, 1), (out[0] - 1, out[1] - 1, 1, 1)], frame_color=(INK, NEGATIVE))
    ax.set(xlim=(-0.1, 20.1), ylim=(7.1, -0.1))
    for left, text in ((0, "image 5x7; paler: padding, white: under no window"), (11, f"output {out[0]}x{out[1]}")):
        ax.text(left, -0.3, text, fontsize=NORMAL)
    heading(figure, f"Stride {stride}, padding {padding}: one dot, one window, one output number")
    return figure


def stamps(kernel, dy, stride, size):
    """The kernel, dy, and dx after each stamp."""
    figure = new_figure(8.8, 4.4)
    axes = figure.subplots(2, 4)
    dx, is_reached = np.zeros(size), np.zeros(size, bool)
    draw_cells(axes[0, 0], kernel, "kernel", cmap="Greys", limits=(0, 20), origin=(1, 2))
    draw_cells(axes[0, 1], dy, "dy", cmap="Oranges", limits=(0, 6), origin=(1, 2))
    for number, ((i, j), ax) in enumerate(zip(np.ndindex(dy.shape), axes.ravel()[2:]), start=1):
        top, left = i * stride, j * stride
        dx[top:top + 3, left:left + 3] += dy[i, j] * kernel
        is_reached[top:top + 3, left:left + 3] = True
        draw_cells(ax, np.where(is_reached, dx, np.nan), f"stamp {number}: {dy[i, j]:g} x kernel", cmap="Oranges",
                   limits=(0, 60), frame=(top, left, 3, 3), fontsize=SMALL)
    for ax in axes[0, :2]:
        ax.set(xlim=(-0.07, size[1] + 0.07), ylim=(size[0] + 0.07, -0.07))
    heading(figure, "dx at stride 2: each number of dy stamps the kernel, two pixels apart, and stamps add")
    figure.set_label("The 3x3 kernel, the 2x3 dy, and the 5x7 dx after each of the six stamps, the last place "
                     "framed. Stamps overlap in row 2 and in columns 2 and 4.")
    return figure


def spread_out(dy, stride):
    """Put stride - 1 zeros between the numbers of dy."""
    spread = np.zeros([(n - 1) * stride + 1 for n in dy.shape])
    spread[::stride, ::stride] = dy
    return spread


def seen_from_a_pixel(kernel, dy, stride, pixel):
    """dy with zeros between and around, under the turned kernel, and the dx that comes out."""
    border = len(kernel) - 1
    framed = np.pad(spread_out(dy, stride), border)
    dx, (height, width) = one_channel(framed, kernel[::-1, ::-1]), framed.shape
    figure = new_figure(8.8, 3.6)
    ax = figure.subplots()
    draw_cells(ax, framed, "dy, spread, with a border of zeros", cmap="Oranges", limits=(0, 6), frame=(*pixel, 3, 3))
    ax.add_patch(Rectangle((border, border), width - 2 * border, height - 2 * border, fill=False, edgecolor=INK))
    draw_cells(ax, kernel[::-1, ::-1], "kernel, turned", cmap="Greys", limits=(0, 20), origin=(2, width + 1.5))
    draw_cells(ax, dx, "dx", cmap="Oranges", limits=(0, 60), frame=(*pixel, 1, 1), origin=(1, width + 6))
    plain(ax, "x", height / 2, width + 0.75)
    plain(ax, "=", height / 2, width + 5.25)
    heading(figure, "The same dx: spread dy out with zeros, then slide the turned kernel over it")
    figure.set_label("The 2x3 dy spread out with zeros to 3x5, with a border of two zeros; a 3x3 window of it is "
                     "framed and holds four numbers of dy in its corners. The turned kernel over it gives the "
                     "framed number of dx.")
    return figure


def matrix(kernel, size, stride, output, pixel):
    """A convolution as a matrix, with the row of one output and the column of one pixel framed; also returns it."""
    columns = []
    for number in range(size[0] * size[1]):                     # what does one pixel do?
        one = np.zeros(size)
        one.flat[number] = 1
        columns.append(one_channel(one, kernel, stride).ravel())
    A = np.stack(columns, axis=1)
    figure = new_figure(9, 2.5)
    ax = figure.subplots()
    draw_cells(ax, np.where(A > 0, A, np.nan), cmap="Greys", limits=(0, 20), fontsize=SMALL,
               frame=[(output, 0, 1, A.shape[1]), (0, pixel, A.shape[0], 1)], frame_color=(INK, NEGATIVE))
    ax.set(xlabel=f"{A.shape[1]} pixels of the image, row by row", ylabel=f"{A.shape[0]} outputs")
    heading(figure, "A row says what one output reads; a column, where one pixel is heard")
    figure.set_label("The 6x35 matrix of a 3x3 convolution with stride 2 of a 5x7 image. Each row holds the "
                     "kernel's nine numbers. The row of one output and the column of one pixel, with 9, 7, 3 and 1,"
                     " are framed.")
    return figure, A


def stamps_of_ones(weight):
    """How many stamps a pixel gets, for three kernels, and what a layer's own 2x2 weight makes of even input."""
    figure = new_figure(8.8, 2.3)
    axes = figure.subplots(1, 4)
    for ax, size in zip(axes, (3, 4, 2)):
        kernel = np.ones((size, size, 1, 1))
        count, _ = ops.conv_transpose2d_forward(np.ones((1, 3, 4, 1)), kernel, stride=2)
        draw_cells(ax, count[0, :, :, 0], f"kernel {size}: how many stamps", "{:g}", "Greys", (0, 8), fontsize=SMALL)
    values, _ = ops.conv_transpose2d_forward(np.ones((1, 3, 4, 1)), weight[:, :, None, None], stride=2)
    draw_cells(axes[3], values[0, :, :, 0], "kernel 2: the values", "{:.1f}", "RdBu_r", (-3, 3), fontsize=SMALL)
    for ax in axes:
        ax.set_anchor("N")
    heading(figure, "Stride 2: with kernel 4 or 2 the stamps are even inside; values need not be")
    figure.set_label("How many stamps each pixel receives at stride 2. Kernel 3: a pattern of 1, 2 and 4. Kernel 4:"
                     " 4 everywhere inside. Kernel 2: 1 everywhere. Fourth: what a layer's own 2x2 weight stamps, a"
                     " pattern.")
    return figure


def step_sizes(sizes, curves):
    """Relative error of the differences against the step; `curves` are (errors, text, marker, height of the text)."""
    ax = new_figure(8.4, 3.7).subplots()
    for (errors, text, marker, height), color in zip(curves, (CURVE, MUTED, NEGATIVE), strict=True):
        ax.loglog(sizes, np.maximum(errors, 1e-13), marker=marker, color=color, markersize=4)
        ax.text(1e-12, height, text, color=color)
    valley = sizes[curves[0][0] < 1e-7]
    ax.axvspan(valley.min(), valley.max(), color=CURVE, alpha=0.12)
    ax.text(valley.min(), 1e-11, " the valley", color=CURVE)
    ax.set(xlabel="step", ylabel="relative error", ylim=(1e-12, 1e4),
           title="A right gradient has a valley, a wrong one a plateau")
    ax.grid(alpha=0.3)
    ax.figure.set_label("Relative error against the step, both logarithmic. In float64 it falls below 1e-8 and "
                        "rises on both sides; in float32 it stays far above; with the fault it is nearly flat.")
    return ax.figure
