"""A page that is laid out by hand, in inches from its top left corner, as a printed sheet is.

Automatic layouts align panels with panels. A sheet also has arrows from one panel to the next, headings
and notes, so here every panel says where it is.
"""

from matplotlib.patches import FancyArrowPatch, Rectangle

from .style import INK, LARGE, MUTED, NORMAL, PAPER, SMALL, new_figure, show_image

WIDTH, MARGIN = 16.0, 0.3     # inches
PITCH, PANEL = 2.2, 1.92      # from column to column, and a panel's width


def column(i):
    """Left edge of a column of the stage sheet, in inches."""
    return MARGIN + i * PITCH


class Page:
    """A figure of `width` x `height` inches; y counts downwards from the top."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.figure = new_figure(width, height, layout=None)

    def place(self, x, y):
        """(x, y) in parts of the figure's width and height, from its lower left corner, as matplotlib counts."""
        return x / self.width, 1 - y / self.height

    def panel(self, x, y, width, height, title="", note=""):
        """Axes of that size, whose upper left corner is at (x, y); `title` above it and `note` below."""
        ax = self.figure.add_axes([*self.place(x, y + height), width / self.width, height / self.height])
        ax.set_anchor("N")
        self.text(x, y - 0.05, title, va="bottom")
        self.text(x, y + height + 0.04, note, size=SMALL, color=MUTED, va="top")
        return ax

    def picture(self, x, y, width, height, image, title="", note="", size=None):
        """A panel with an image in it, which spans `size` (height, width) in pixels, its own by default."""
        ax = self.panel(x, y, width, height, title, note)
        show_image(ax, image, size, axis_labels=False)
        return ax

    def text(self, x, y, text, size=NORMAL, color=INK, **options):
        """Text at (x, y)."""
        return self.figure.text(*self.place(x, y), text, fontsize=size, color=color, **options)

    def heading(self, x, y, number, title, note=""):
        """The head of a section: its number in a disc, its name, and what happens there."""
        self.text(x + 0.11, y, f"{number}", color="white", ha="center", va="center", fontweight="bold",
                  bbox={"boxstyle": "circle,pad=0.25", "facecolor": INK, "edgecolor": "none"})
        head = self.text(x + 0.32, y, title, size=LARGE, va="center", fontweight="bold")
        self.text(head.get_window_extent().x1 / self.figure.dpi + 0.12, y + 0.01, note, color=MUTED, va="center")

    def band(self, x, y, width, height):
        """A light ground under a section."""
        self.figure.add_artist(Rectangle(
            self.place(x, y + height), width / self.width, height / self.height, facecolor=PAPER, edgecolor="none",
            zorder=-5, transform=self.figure.transFigure))

    def arrow(self, x1, y1, x2, y2):
        """An arrow from (x1, y1) to (x2, y2)."""
        self.figure.add_artist(FancyArrowPatch(
            self.place(x1, y1), self.place(x2, y2), arrowstyle="-|>,head_width=2.6,head_length=4.5", mutation_scale=1,
            shrinkA=0, shrinkB=0, linewidth=1.3, color=INK, transform=self.figure.transFigure))

    def arrow_to_column(self, i, y):
        """An arrow over the gap on the left of a column."""
        self.arrow(column(i - 1) + PANEL + 0.03, y, column(i) - 0.03, y)
