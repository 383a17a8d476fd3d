"""What is read back from the page, and what it should be: canvases as arrays, and the same pictures made from numbers.

A canvas that shows a map is a pixel for a cell, and simply equals an array. A canvas that shows boxes is compared with
a `Paper`, on which a test paints the same boxes from the model's arrays. The page's own drawing code has no part in
that: a browser lets a line cover a share of each pixel, and for lines along the axes that share is easily computed. So
every pixel of the canvas is compared, and a box that is missing, out of place or of another color is found wherever it
is.
"""

import base64
import io
import itertools

import numpy as np

INK, VEIL, KEPT, DROPPED = "#33373e", "#ffffff", "#1d6fd1", "#d4791f"       # by day
LIT, WHITE, GRAY = "#ff2e93", "#ffffff", "#808080"
CLASS_COLORS = {"circle": "#E69F00", "square": "#0072B2", "triangle": "#009E73", "background": "#8a8a8a"}
DASH, GAP = 4, 3

MAGMA_TOLERANCE = 4     # the page has sixteen colors of it, and mixes between them
# A browser mixes colors in whole numbers, so that with every line laid over a pixel it may be off by one more.
TOLERANCE = 8
SPARE = 30              # pixels that may differ more, if there are dashes: at their ends, and where they turn a corner


# ---- the page ----


def settle(page):
    """Wait until all that was asked has been answered and drawn."""
    page.wait("return explorer.line.waiting.size === 0 && !explorer.line.busy")


def rest(page):
    """Wait until the page rests, has said what is found, and has drawn what it draws at rest."""
    page.wait("return document.body.dataset.rest === 'yes'")
    settle(page)


def choose(page, identity, value):
    """Choose from a list, or move a slider, by its id or another CSS selector."""
    page.run("""const element = document.querySelector(arguments[0]);
        element.value = arguments[1];
        for (const kind of ['input', 'change']) element.dispatchEvent(new Event(kind, {bubbles: true}));""",
             identity if identity[0] in "#[." else f"#{identity}", value)
    settle(page)


def found(page):
    """The detections of the page's last look, best first."""
    return page.run("return explorer.look.answer.detections.map(({box, label, score}) => ({box, label, score}))")


def text(page, selector):
    """What an element says."""
    return page.run("return document.querySelector(arguments[0]).textContent", selector)


def place(page, x, y, selector="#stage"):
    """Where a point of the scene is in the window, on the stage or on another picture."""
    return page.run("""const element = document.querySelector(arguments[2]), {scene} = explorer.stage;
        if (arguments[2] !== '#stage') element.scrollIntoView({block: 'center'});
        const {left, top, width, height} = element.getBoundingClientRect();
        return [left + arguments[0] / scene.width * width, top + arguments[1] / scene.height * height];""",
                    x, y, selector)


def asked(page, here, **parts):
    """What Python answers to what the page has asked last: a look at the scene as it is."""
    request = page.run("const {stage: {scene}, model, thresholds} = explorer; return {scene, model, ...thresholds};")
    answer, arrays = here.answer({"ask": "look", **request, **parts})
    assert "error" not in answer
    return answer, arrays


def canvas(page, selector):
    """What is on a canvas, (h, w, 4) uint8."""
    return canvases(page, [selector])[0]


def canvases(page, selectors):
    """The same of several, which takes one message."""
    from PIL import Image       # only here: these tests are collected, and left out, where it is missing
    addresses = page.run("return arguments[0].map(each => document.querySelector(each).toDataURL('image/png'))",
                         selectors)
    files = [base64.b64decode(address.partition(",")[2]) for address in addresses]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGBA")) for file in files]


def pixels(page):
    """The picture that the network sees, as the page has it, (h, w, 3) uint8."""
    width, height, flat = page.run(
        """const {base} = explorer, {data} = base.getContext('2d').getImageData(0, 0, base.width, base.height);
        return [base.width, base.height, [...data]];""")
    return np.array(flat, np.uint8).reshape(height, width, 4)[:, :, :3]


# ---- colors ----


def rgb(color):
    """The numbers of "#rrggbb", (3,)."""
    return np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)], float)


def magma(numbers, low=0, high=1):
    """The colors of numbers from low to high in matplotlib's magma, dark to bright, (..., 3)."""
    import matplotlib       # only here, as Pillow above
    steps = np.rint(255 * np.clip((np.asarray(numbers, float) - low) / ((high - low) or 1), 0, 1)).astype(int)
    return 255 * matplotlib.colormaps["magma"](steps)[..., :3]


# ---- pictures ----


def share(low, high, count):
    """How much of each of `count` pixels in a row lies between two places, (count,)."""
    at = np.arange(count)
    return np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, 1)


class Paper:
    """A picture in the coordinates of a scene, painted from numbers as the page should paint it.

    Parameters
    ----------
    page : Browser
    selector : str
        The canvas that it is compared with. From it come the pixels for one of the scene, and how thick a line is: both
        depend on how large the panel is just now.
    image : (H, W, 3) uint8 ndarray
        What is below everything.
    veil : float
        How much that is dimmed, 0 to 1.
    veil_color : str
    """

    def __init__(self, page, selector, image, veil=0.0, veil_color=VEIL):
        self.page, self.selector, self.shown = page, selector, canvas(page, selector)
        width = page.run("return document.querySelector(arguments[0]).clientWidth", selector)
        self.scale = self.shown.shape[1] // image.shape[1]
        self.line = max(1, width / 420)         # in pixels of the canvas, on a screen that has one for each point
        self.colors = self.large(image).astype(float)
        self.compared, self.tags, self.spare = np.ones(self.colors.shape[:2], bool), [], 0
        self.lay(veil_color, veil)

    def large(self, array):
        """An array (H, W, ...) with as many pixels as the canvas."""
        return array.repeat(self.scale, 0).repeat(self.scale, 1)

    def lay(self, color, alpha):
        """Lay a color over all, as dense as `alpha` says, a number or (h, w)."""
        alpha = np.broadcast_to(np.rint(255 * np.asarray(alpha, float)) / 255, self.compared.shape)
        color = np.broadcast_to(rgb(color) if isinstance(color, str) else color, self.colors.shape)
        where = alpha > 0
        part = alpha[where][:, None]
        self.colors[where] = np.floor(self.colors[where] * (1 - part) + color[where] * part)

    def box(self, box, color, width=1.5, alpha=1.0, halo=False, dashed=False, fill=0.0):
        """Paint the outline of a box, perhaps filled with gray."""
        corners = np.asarray(box, float) * self.scale
        self.lay(GRAY, fill * alpha * self._block(*corners))
        if halo:
            self.lay(WHITE, 0.9 * alpha * self._frame(*corners, (width + 2) * self.line))
        self.lay(color, alpha * (self._dashes if dashed else self._frame)(*corners, width * self.line))

    def dots(self, points, color, radius):
        """Paint dots: their middles are compared, and their edges are not."""
        height, width = self.compared.shape
        rows, columns = np.mgrid[:height, :width] + 0.5
        middles = []
        for x, y in np.asarray(points) * self.scale:
            self.compared &= np.hypot(columns - x, rows - y) > radius * self.line + 1
            if 0 <= x < width and 0 <= y < height:
                middles.append((int(y), int(x)))
        rows, columns = np.transpose(middles)
        self.colors[rows, columns], self.compared[rows, columns] = rgb(color), True

    def tag(self, words, box, color):
        """Paint a name over a box: its ground is compared; of the letters it is known only that there are some."""
        size, gap = 12 * self.line, 3 * self.line
        wide = self.page.run("""const context = document.createElement('canvas').getContext('2d');
            context.font = `600 ${arguments[1]}px system-ui, sans-serif`;
            return context.measureText(arguments[0]).width;""", words, size)
        x = np.clip(box[0] * self.scale, 0, max(0, self.colors.shape[1] - wide - 2 * gap))
        y = max(box[1] * self.scale, 1.35 * size)
        self.lay(color, self._block(x, y - 1.35 * size, x + wide + 2 * gap, y))
        left, right, top = int(x + gap), int(x + gap + wide), int(y - 1.35 * size)
        self.compared[top:int(np.ceil(y)), left - 1:int(right + gap + 2)] = False
        letters = np.s_[int(y - size):int(y - 0.3 * size), left + 1:right]
        self.tags.append((words, letters, color))

    def check(self, tolerance=TOLERANCE):
        """Assert that the canvas shows this."""
        off = np.abs(self.shown[..., :3] - self.colors).max(axis=-1) * self.compared
        row, column = np.unravel_index(off.argmax(), off.shape)
        assert np.count_nonzero(off > tolerance) <= self.spare, (
            f"{self.selector}: {np.count_nonzero(off > tolerance)} pixels differ; the one in row {row}, column {column}"
            f" is {self.shown[row, column, :3]} and should be {self.colors[row, column]}")
        assert (self.shown[..., 3] == 255).all()
        for words, letters, color in self.tags[-1:]:        # the last one lies above the others
            inked = np.abs(self.shown[letters][..., :3] - rgb(color)).max(axis=-1) > 60
            assert 0.02 < inked.mean() < 0.6, f"{self.selector}: where it should say {words!r}"

    def _block(self, x1, y1, x2, y2):
        height, width = self.colors.shape[:2]
        return share(y1, y2, height)[:, None] * share(x1, x2, width)

    def _frame(self, x1, y1, x2, y2, width):
        half = width / 2
        return (self._block(x1 - half, y1 - half, x2 + half, y2 + half)
                - self._block(x1 + half, y1 + half, x2 - half, y2 - half))

    def _dashes(self, x1, y1, x2, y2, width):
        """A dashed outline: from the upper left corner clockwise, dashes going around the corners.

        Of what is no plain rectangle, Chromium moves upper and lower edges to the nearest quarter of a pixel.
        """
        half, covered, self.spare = width / 2, np.zeros(self.colors.shape[:2]), SPARE
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
        start = 0
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            length = abs(bx - ax) + abs(by - ay)
            right, down = np.sign(bx - ax), np.sign(by - ay)
            period = (DASH + GAP) * self.line
            for k in range(int(start // period), int((start + length) // period) + 1):
                low, high = k * period - start, k * period + DASH * self.line - start
                if low < length and high > 0:
                    low, high = (-half if low < 0 else low), (length + half if high > length else high)
                    xs, ys = sorted((ax + right * low, ax + right * high)), sorted((ay + down * low, ay + down * high))
                    top, bottom = (round(4 * y) / 4 for y in (ys[0] - half * abs(right), ys[1] + half * abs(right)))
                    dash = self._block(xs[0] - half * abs(down), top, xs[1] + half * abs(down), bottom)
                    covered = np.maximum(covered, dash)
            start += length
        return covered
