"""What holds for every figure, whatever it shows: readable, complete, described, and nobody else's settings touched.

Each is also drawn where objects, proposals, detections or classes are missing.
"""

import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from npmaskrcnn import clinic, plots
from npmaskrcnn.costs import STAGES, Cost, Share
from npmaskrcnn.structures import Detections


def training_log(num_steps=60):
    rng = np.random.default_rng(5)
    names = ("loss_total", "loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness",
             "loss_rpn_box_reg", "grad_norm", "learning_rate", "grad_norm_fpn", "update_ratio_fpn", "update_ratio_rpn")
    return {"step": np.arange(num_steps), **{name: rng.gamma(2, 0.2, num_steps) for name in names}}


def precision(num_classes=3):
    """(T, R, K, A, M), falling with recall and with the threshold."""
    recall, threshold = np.linspace(0, 1, 101)[:, None], np.arange(10)[:, None, None]
    curve = np.clip(1.3 - recall - 0.06 * threshold, 0, 1) * np.linspace(1, 0.8, num_classes)
    return np.repeat(np.repeat(curve[..., None, None], 4, axis=3), 3, axis=4)


def measured_cost():
    stages = [Share(name, name, 10**7 * i, 10**5 * (8 - i), 0, 3000 * i, 1.5 + i) for i, name in enumerate(STAGES)]
    return Cost([Share("conv", STAGES[1], 5, 5, 0, 5, 0.5)], stages, (96, 128), (96, 128), 40, 3)


def measured_models():
    return [{"kind": kind, "kept": kept, "steps": steps, "segm_AP": kept * (0.8 if steps else 0.5),
             "milliseconds": 9 * kept, "milliseconds_full": 9, "bytes": int(4e6 * kept)}
            for steps in (0, 600) for kept in (0.25, 0.5)
            for kind in ("full", "full, trained on", "weights set to zero", "channels taken out", "float16",
                         "int8 weights")]


def grid_sizes(trace):
    return [logits.shape[:2] for logits in trace.objectness]


TRACE_FIGURES = {
    "stage_sheet": plots.stage_sheet, "funnel": plots.funnel, "provenance": plots.provenance,
    "features": plots.features, "objectness": plots.objectness, "proposals": plots.proposals,
    "roi_levels": plots.roi_levels, "class_masks": plots.class_masks,
    "instances": lambda trace: plots.instances(trace.image, trace.detections, class_names=trace.class_names),
    "gallery": lambda trace: plots.gallery([trace.image], [trace.detections], None, trace.class_names),
    "matches": lambda trace: plots.matches(trace.image, np.concatenate(trace.anchors), trace.training.anchor_matches,
                                           trace.training.gt_boxes),
}
OTHER_FIGURES = {
    "anchors": lambda trace: plots.anchors(trace.image, trace.anchors, grid_sizes(trace)),
    "roi_align_samples": lambda trace: plots.roi_align_samples(trace.features[1][0], trace.proposals[0], 1 / 8),
    "side_by_side": lambda trace: plots.side_by_side([trace.image], {"found": [trace.detections]}),
    "half_pixels": lambda _: plots.half_pixels(),
    "loss_curves": lambda _: plots.loss_curves(training_log()),
    "gradient_curves": lambda _: plots.gradient_curves(training_log()),
    "cost_bars": lambda _: plots.cost_bars(measured_cost()),
    "light_models": lambda _: plots.light_models(measured_models()),
    "precision_recall": lambda trace: plots.precision_recall(precision(), trace.class_names),
    "case_sheet": lambda trace: clinic.patient("boris").figure(trace.class_names),
    "worth": lambda _: plots.worth(
        {"on shapes": {"baseline": {"mask": [0.7, 0.72], "box": [0.74]}, "no_masks": {"mask": [], "box": [0.75, 0.71]},
                       "roi_pool": {"mask": [0.1, 0.2], "box": [0.7]}}}, {"roi_pool": {"mask": -3.4}}),
}
FIGURES = {**TRACE_FIGURES, **OTHER_FIGURES}


def pixels(figure):
    """(H, W, 3) uint8, as Agg draws it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def settings():
    """matplotlib's, but for the backend: to look at that one would import pyplot."""
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if not key.startswith("backend")}


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_every_exported_figure_is_tested_here():
    assert set(FIGURES) == set(plots.__all__) - {"input_image", "save_figure"}


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_readable_complete_and_described(name, trace):
    before = settings()
    figure = FIGURES[name](trace)
    drawn = pixels(figure)
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches() * figure.dpi
    # versions of matplotlib differ in which way they round half a pixel
    np.testing.assert_allclose(drawn.shape[:2], (height, width), atol=1)
    assert (drawn != 255).any(axis=2).mean() > 0.02       # not a white page
    assert 30 < len(figure.get_label()) < 400 and figure.get_label().endswith(".")
    assert any(ax.get_title(loc="left") for ax in figure.axes) or figure.texts
    small = [text.get_text() for text in figure.findobj(Text)
             if text.get_text().strip() and text.get_fontsize() < 8]
    assert not small
    x1, y1, x2, y2 = figure.get_tightbbox(figure.canvas.get_renderer()).extents * figure.dpi
    assert min(x1, y1) > -4 and x2 < width + 4 and y2 < height + 4    # at most a hair is cut off
    assert settings() == before


# What these figures show comes before proposals, detections and classes; so it is never missing.
SHOWN_BEFORE = {"features": (), "objectness": ("no object",), "matches": ("no object",)}
EVERYTHING_MISSING = ("no object", "no detection", "no proposal", "one class")


@pytest.mark.parametrize("name, missing", [(name, missing) for name in TRACE_FIGURES
                                           for missing in SHOWN_BEFORE.get(name, EVERYTHING_MISSING)])
def test_figure_can_be_drawn_where_something_is_missing(name, missing, traces_of_nothing):
    trace = traces_of_nothing[missing]
    figure = FIGURES[name](trace)
    assert pixels(figure).std() > 1
    if not len(trace.detections) and name in ("stage_sheet", "provenance", "instances", "gallery",
                                              "class_masks"):
        assert "no detection" in words(figure)
    if not len(trace.proposals) and name in ("stage_sheet", "proposals", "roi_levels"):
        assert "no proposal" in words(figure)


def test_traces_of_nothing_miss_what_they_say(traces_of_nothing):
    assert not len(traces_of_nothing["no object"].training.gt_boxes)
    assert not len(traces_of_nothing["no detection"].detections)
    assert len(traces_of_nothing["no detection"].proposals)
    assert not len(traces_of_nothing["no proposal"].proposals)
    assert traces_of_nothing["one class"].class_logits.shape[1] == 2


@pytest.mark.parametrize("name", TRACE_FIGURES)
def test_figure_of_a_model_without_a_mask_branch_speaks_of_no_masks(name, trace_of_boxes):
    figure = FIGURES[name](trace_of_boxes)
    assert pixels(figure).std() > 1 and "and masks" not in figure.get_label()
    said = words(figure)
    assert "Mask R-CNN" not in said and "Mask head" not in said and "× 28 " not in said
    assert ("no mask branch" in said) == (name == "class_masks")
    assert ("Faster R-CNN" in said) == (name == "stage_sheet")


def test_loss_curves_of_four_losses_have_no_empty_panel():
    log = {column: values for column, values in training_log().items() if column != "loss_mask"}
    figure = plots.loss_curves(log)
    assert sum(ax.axison for ax in figure.axes) == 7 and "mask" not in words(figure)
    assert figure.get_label().startswith("Seven panels") and "the four losses" in figure.get_label()


def test_side_by_side_every_object_has_the_color_of_the_one_that_it_covers_in_the_first_answer(scene):
    image, target = scene
    order = np.arange(len(target))[::-1]
    scores = np.linspace(0.9, 0.6, len(order))
    found = Detections(target.boxes[order], target.labels[order], scores, target.masks[order])
    figure = plots.side_by_side([image], {"there": [target], "found": [found[:2]]})

    def colors(ax):
        return {patch.get_path().get_extents().extents.round().astype(int).tobytes(): patch.get_edgecolor()
                for patch in ax.patches if not patch.get_fill()}
    there, again = map(colors, figure.axes[1:])
    assert len(there) == len(set(there.values())) == len(target) > 2
    assert len(again) == 2 and again.items() <= there.items()
    assert "there: 3" in words(figure) and "found: 2" in words(figure)
    for images, answers in (([], {"there": []}), ([image], {}), ([image], {"found": [found[:0]]})):
        assert pixels(plots.side_by_side(images, answers)).std() > 1


def test_figures_do_not_import_pyplot():
    code = ("import sys, numpy as np\nfrom npmaskrcnn import plots\n"
            "plots.instances(np.zeros((6, 8, 3)), np.zeros((0, 4)))._repr_png_()\n"
            "assert 'matplotlib.pyplot' not in sys.modules")
    assert subprocess.run([sys.executable, "-c", code],
                          env={"PYTHONPATH": ":".join(p for p in sys.path if p)}).returncode == 0


def test_a_figure_shows_itself_with_its_alternative_text(trace):
    png, metadata = plots.funnel(trace)._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert metadata == {"alt": plots.funnel(trace).get_label()}


NAMES = ["background", "a$_$", "_$20 bill, $10 bill",
         "\u732b \U0001f408\n\t\x1b[31m\ud800 and so on" + 99 * ".", "$", "$x"]


@pytest.mark.parametrize("name", ["stage_sheet", "provenance", "class_masks", "instances", "gallery",
                                  "precision_recall"])
def test_names_of_classes_are_data_in_every_figure_that_shows_them(name, trace, monkeypatch):
    monkeypatch.setattr(trace, "class_names", NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")      # of glyphs that the font lacks, of labels that a legend leaves out
        figure = FIGURES[name](trace)
        pixels(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    shown = [text for text in texts if "$" in text.get_text()]
    assert shown and not any(text.get_parse_math() for text in shown)
    for text in texts:
        assert not set(text.get_text()) & set("\t\x1b\ud800")
    x1, y1, x2, y2 = figure.get_tightbbox(figure.canvas.get_renderer()).extents * figure.dpi
    assert x1 > -4 and x2 < figure.get_size_inches()[0] * figure.dpi + 4


@pytest.mark.parametrize("name", ["precision_recall", "gallery"])
def test_a_legend_has_names_that_begin_with_an_underscore(name, trace, monkeypatch):
    monkeypatch.setattr(trace, "class_names", ["background", "_a", "_b", "_c"])
    shown = words(FIGURES[name](trace))
    present = {1, 2, 3} if name == "precision_recall" else set(trace.detections.labels.tolist())
    assert all(f"\u200b_{'abc'[label - 1]}" in shown for label in present)


def test_a_picture_keeps_its_place_beside_a_very_long_name():
    boxes, widths = np.array([[10., 10, 50, 40]]), []
    for name in ("cat", 500 * "cat"):
        figure = plots.instances(np.zeros((60, 80, 3), np.uint8), boxes, [1], [.5], class_names=["background", name])
        pixels(figure)
        widths.append(figure.axes[0].get_window_extent().width)
    assert widths[1] > .75 * widths[0]
