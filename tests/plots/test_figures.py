"""That each figure shows the right thing: colors, texts and places against the numbers that it was drawn from."""

import gc
import math
import tracemalloc

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from npmaskrcnn import plots
from npmaskrcnn.plots.curves import smooth
from npmaskrcnn.plots.flow import funnel_steps
from npmaskrcnn.plots.style import CLASS_COLORS, as_picture, class_color, ink_on
from npmaskrcnn.structures import MaskSequence, Target


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def words(artist):
    return [text.get_text() for text in artist.findobj(Text) if text.get_text()]


def has_color(picture, color, at_least=20):
    return (np.abs(picture - np.array(to_rgb(color))).max(axis=-1) < 0.02).sum() >= at_least


def target_of(height=24, width=40):
    masks = np.zeros((1, height, width), bool)
    masks[0, 6:18, 10:30] = True
    return Target(boxes=[[10, 6, 30, 18]], labels=[2], masks=masks)


def test_an_instance_has_the_color_of_its_class_in_every_figure():
    image = np.zeros((24, 40, 3), np.uint8)
    for label in (1, 2, 3):
        figure = plots.instances(image, np.array([[8.0, 6, 30, 18]]), [label], [0.875])
        picture = drawn(figure)
        assert [has_color(picture, color) for color in CLASS_COLORS[:3]] == [label == k for k in (1, 2, 3)]
        assert any(f"class {label} 0.88" in text for text in words(figure))   # 0.875 rounds half to even


def test_an_instance_is_drawn_without_its_label_where_labels_would_lie_in_heaps():
    image, box = np.zeros((24, 40, 3), np.uint8), np.array([[8.0, 6, 30, 18]])
    with_label, without = (plots.instances(image, box, [1], [0.75], text=text) for text in (True, False))
    assert any("class 1 0.75" in text for text in words(with_label))
    assert not any("0.75" in text for text in words(without)) and has_color(drawn(without), CLASS_COLORS[0])


def test_a_box_is_drawn_on_the_pixels_that_it_names():
    figure = plots.instances(np.zeros((24, 40, 3), np.uint8), np.array([[10.0, 6, 30, 18]]), [1])
    ax = figure.axes[0]
    frame = ax.collections[-1].get_paths()[0].get_extents()
    np.testing.assert_array_equal(frame.extents, [10, 6, 30, 18])
    np.testing.assert_array_equal(ax.images[0].get_extent(), [0, 40, 24, 0])


def test_ground_truth_is_dashed_and_detections_are_solid():
    image, target = np.zeros((24, 40, 3), np.uint8), target_of()
    truth = plots.instances(image, target).axes[0].collections[-1].get_linestyle()[0]
    found = plots.instances(image, target.boxes, target.labels, [0.5]).axes[0].collections[-1].get_linestyle()[0]
    assert truth[1] is not None and found[1] is None


def test_a_mask_tints_its_own_pixels_only():
    image = np.full((24, 40, 3), 255, np.uint8)
    masks = np.zeros((1, 24, 40), np.float32)
    masks[0, 12:24, 20:40] = 0.9                                 # lower right quarter; touches the border
    masks[0, :12, 20:40] = 0.4                                   # below the threshold
    figure = Figure(figsize=(4, 2.4), dpi=100)
    ax = figure.add_axes([0, 0, 1, 1])
    assert plots.instances(image, np.array([[20.0, 12, 40, 24]]), [3], masks=masks, ax=ax) is figure
    ax.set_axis_off()
    picture = drawn(figure)
    assert (picture[180, 300] < 0.95).any()
    np.testing.assert_array_equal(picture[[180, 60, 60], [60, 300, 60]], 1)


def test_drawing_into_given_axes_leaves_the_figure_its_description():
    figure = Figure()
    figure.set_label("mine")
    plots.instances(np.zeros((6, 8)), np.zeros((0, 4)), ax=figure.add_subplot())
    assert figure.get_label() == "mine" and "no object" in words(figure)


def test_images_of_any_kind_become_float_color():
    np.testing.assert_allclose(as_picture(np.full((2, 3), 128, np.uint8)), 128 / 255)
    np.testing.assert_allclose(as_picture(np.full((2, 3, 4), 65535, np.uint16)), np.ones((2, 3, 3)))
    np.testing.assert_allclose(as_picture(np.full((2, 3, 3), 1.5)), 1)


def test_text_can_be_read_on_every_class_color():
    def luminance(color):
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(color)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    for label in range(len(CLASS_COLORS) + 1):
        light, dark = sorted((luminance(class_color(label)), luminance(ink_on(class_color(label)))),
                             reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3       # WCAG's least contrast for labels of this weight


def test_a_gallery_counts_what_is_found_and_there(scene, trace):
    image, target = scene
    figure = plots.gallery([image] * 5, [trace.detections] * 4 + [trace.detections[:0]], [target] * 5,
                           trace.class_names)
    sure = int((trace.detections.scores >= 0.5).sum())
    assert 0 < sure < len(trace.detections)
    assert f"0:  {sure} found, {len(target)} there" in words(figure)
    assert f"4:  0 found, {len(target)} there" in words(figure) and "no detection" in words(figure)
    assert "no image" in words(plots.gallery([]))


def test_chance_is_marked_where_it_belongs():
    log = {"step": np.arange(5), "loss_classifier": np.full(5, 0.2), "loss_mask": np.full(5, 0.1)}
    figure = plots.loss_curves(log, num_classes=7, validation={"step": [2, 4], "box AP": [0.25, 0.5]})
    marks = {ax.get_title(loc="left"): [line.get_ydata()[0] for line in ax.lines
                                        if line.get_linestyle() == ":"] for ax in figure.axes}
    assert marks["Head: which class?"] == [math.log(7)]
    assert marks["Head: mask pixels"] == marks["RPN: object or not?"] == [math.log(2)]
    assert marks["Total loss"] == marks["Head: box offsets"] == []
    for ax in figure.axes[:6]:
        assert ax.get_ylim()[0] == 0
    assert "no total logged" in words(figure) and "box AP  0.500" in words(figure)


def test_loss_curves_read_a_structured_array():
    log = np.zeros(4, [("step", int), ("loss_total", float)])
    log["loss_total"] = [4, 3, 2, 1]
    ax = plots.loss_curves(log).axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4, 3, 2, 1])


def test_smoothing_keeps_constants_and_steps_over_nan():
    np.testing.assert_allclose(smooth(np.full(9, 2.5)), 2.5)          # corrected for its start
    np.testing.assert_allclose(smooth([1.0, math.nan, 1.0]), 1)
    assert smooth([0.0] * 50 + [1.0] * 50)[-1] > 0.99                 # forgets
    assert not len(smooth([]))


def test_precision_recall_leaves_out_classes_without_ground_truth():
    precision = np.full((10, 101, 3, 4, 3), -1.0)
    precision[:, :, 0] = 0.75
    precision[:, :, 2] = 0.25
    figure = plots.precision_recall(precision, ["background", "circle", "square", "star"])
    assert "AP 0.500" in figure.get_label() and "2 classes" in figure.get_label()
    legend = words(figure.axes[1].get_legend())
    assert "circle   0.750" in legend and "star   0.250" in legend
    assert not any("square" in text for text in legend)
    assert "no ground truth" in words(plots.precision_recall(precision[:, :, 1:2]))


def test_the_legends_of_precision_and_recall_lie_beside_the_curves():
    figure = plots.precision_recall(np.full((10, 101, 1, 4, 3), 0.04))      # curves at the bottom
    figure.canvas.draw()
    for ax in figure.axes:
        assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
        assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize("number, labeled", [(15, True), (16, False)])
def test_a_crowded_field_goes_without_labels(number, labeled):
    x = np.arange(number, dtype=float)
    boxes = np.stack([2 * x, x, 2 * x + 2, x + 3], axis=1)
    figure = plots.instances(np.zeros((40, 60, 3)), boxes, np.ones(number, int), np.full(number, 0.75))
    assert any("0.75" in text for text in words(figure)) == labeled


def test_the_input_picture_undoes_the_normalization(trace):
    # The trace's arrays are float32, and the fit of mean and scale sums 24,576 of them.
    np.testing.assert_allclose(plots.input_image(trace), trace.image, atol=1e-5)


def test_the_funnel_counts_the_trace(trace):
    assert [number for _, number, _ in funnel_steps(trace)] == [
        sum(len(level) for level in trace.anchors), len(trace.top_k_boxes), len(trace.proposals),
        len(trace.candidate_boxes), len(trace.detections)]
    assert "6,138" in words(plots.funnel(trace))                      # 3 * (32*48 + 16*24 + 8*12 + 4*6 + 2*3)


def test_anchors_show_one_cell_and_all_centers(trace):
    grids = [logits.shape[:2] for logits in trace.objectness]
    axes = plots.anchors(trace.image, trace.anchors, grids).axes
    assert [len(ax.collections[0].get_offsets()) for ax in axes] == [h * w for h, w in grids]
    extents = [path.get_extents().extents for path in axes[1].collections[-1].get_paths()]
    np.testing.assert_array_equal(extents, trace.anchors[1].reshape(16, 24, 3, 4)[8, 12])


def test_matches_count_every_kind(trace):
    matches = trace.training.anchor_matches
    label = plots.matches(trace.image, np.concatenate(trace.anchors), matches,
                          trace.training.gt_boxes).get_label()
    numbers = [(matches >= 0).sum(), (matches == -2).sum(), (matches == -1).sum()]
    assert "{} positive, {} ignored, {} negative".format(*numbers) in label


def test_the_level_rule_is_found_from_the_trace(trace):
    assert any("size / 56 px" in text for text in words(plots.roi_levels(trace)))
    assert any("size / 100 px" in text for text in words(plots.roi_levels(trace, canonical_scale=100)))


def test_class_masks_frame_the_class_of_the_detection(trace):
    figure = plots.class_masks(trace, detection=1)
    thick = [i for i, ax in enumerate(figure.axes[1:5]) if ax.spines["left"].get_linewidth() > 3]
    assert thick == [trace.detections.labels[1]]


def test_the_sheet_is_1600_pixels_wide_whatever_the_image(trace):
    figure = plots.stage_sheet(trace)
    assert figure.get_size_inches()[0] * figure.dpi == 1600
    assert any("24,576 pixels" in text for text in words(figure))


def test_objectness_is_drawn_where_the_anchors_are(trace):
    axes = plots.objectness(trace).axes
    for level, ax in enumerate(axes[:5]):
        h, w = trace.objectness[level].shape[:2]
        left, right, bottom, top = ax.images[0].get_extent()
        y, x = np.meshgrid(top + (np.arange(h) + 0.5) * (bottom - top) / h,
                           left + (np.arange(w) + 0.5) * (right - left) / w, indexing="ij")
        centers = trace.anchors[level].reshape(h, w, 3, 2, 2).mean(axis=3)      # of each anchor, (x, y)
        np.testing.assert_allclose(np.stack([x, y], axis=-1)[:, :, None].repeat(3, axis=2), centers, atol=1e-9)
        assert ax.get_xlim() == (0, trace.batch.shape[2]) and ax.get_ylim() == (trace.batch.shape[1], 0)


def test_outlines_of_many_masks_of_a_large_image_take_the_memory_of_their_lines():
    size, box = (1000, 1500), np.array([[100., 100, 1400, 900]])
    mask = np.zeros(size, np.float32)
    mask[100:900, 100:1400] = .9
    masks = MaskSequence(lambda row: mask, range(10), size, np.float32)
    image = np.zeros((*size, 3), np.uint8)
    gc.collect()
    tracemalloc.start()
    figure = plots.instances(image, np.repeat(box, 10, 0), np.ones(10, int), np.ones(10), masks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * mask.size            # bytes; it was 58 for each of the masks
    outline = figure.axes[0].patches[-1].get_path().get_extents()
    np.testing.assert_allclose(outline.extents, [100, 100, 1400, 900], atol=2)     # found on every second pixel


def test_a_thin_object_of_a_large_image_keeps_its_outline():
    mask = np.zeros((3000, 2000), bool)
    mask[500:2500, 777] = True
    figure = plots.instances(np.zeros((3000, 2000, 3), np.uint8), np.array([[777., 500, 778, 2500]]), masks=mask[None])
    outline = figure.axes[0].patches[-1].get_path().get_extents()
    np.testing.assert_allclose(outline.extents, [777, 500, 778, 2500], atol=2.5)


def test_a_mask_with_a_hole_is_tinted_around_it():
    masks = np.zeros((1, 24, 40), bool)
    masks[0, 4:20, 4:36] = True
    masks[0, 8:16, 12:28] = False
    figure = Figure(figsize=(4, 2.4), dpi=100)
    ax = figure.add_axes([0, 0, 1, 1])
    plots.instances(np.full((24, 40, 3), 255, np.uint8), np.array([[4., 4, 36, 20]]), [3], masks=masks, ax=ax)
    ax.set_axis_off()
    picture = drawn(figure)
    assert (picture[120, 80] < 0.95).any() and (picture[120, 200] == 1).all()
