"""The figures of lesson 13: what one step does, paths of three optimizers down one valley, the log of the long
training, one image on its way through it, and one image learned by heart. A curve has the color of the part of the
model that it belongs to; boxes and masks have the color of their class, and dashed ones are what the model was told."""

import functools

import numpy as np

from npmaskrcnn import maskrcnn_tiny, ops
from npmaskrcnn.clinic.runs import load_run
from npmaskrcnn.mask_rcnn import resize_target
from npmaskrcnn.nn import Notes, Parameter
from npmaskrcnn.notebook import THE_OBJECT, heading, the_image
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.style import (CURVE, DASHED, INK, MUTED, NEGATIVE, class_color, draw_boxes, new_figure,
                                    panels, say_nothing, show_image)
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.stages.roi_pooler import make_rois
from npmaskrcnn.training.overfit import measure

PART_COLORS = {"body": "#1A1A1A", "fpn": "#8A8F98", "rpn": "#7B3294", "box_head": "#274C77", "mask_head": "#C2185B"}
# the losses: what they are called, whose they are, how their line looks
LOSSES = {"loss_classifier": ("class", "box_head", "solid"), "loss_box_reg": ("box", "box_head", DASHED),
          "loss_mask": ("mask", "mask_head", "solid"), "loss_objectness": ("objectness", "rpn", "solid"),
          "loss_rpn_box_reg": ("RPN box", "rpn", DASHED)}
GRID = {"color": "#E5E7EB", "linewidth": 0.6}
ANCHOR = 1678       # of the followed triangle
RUNS = {"healthy": "healthy", "rate .2, constant": "clara", "another channel of the mask is read": "emma"}


def losses_of(trace, row):
    """One object's share of the five losses, by name: of its anchors, its RoIs and its masks; and its RoIs' rows."""
    training = trace.training
    anchors = training.anchor_matches[training.sampled_anchors] == row
    matches = training.candidate_matches[training.sampled_rois]
    shares = {"loss_classifier": training.roi_class_loss[matches == row],
              "loss_box_reg": training.roi_box_loss[matches == row],
              "loss_mask": training.mask_loss[matches[matches >= 0] == row],
              "loss_objectness": training.anchor_objectness_loss[anchors],
              "loss_rpn_box_reg": training.anchor_box_loss[anchors[:training.num_positive_anchors]]}
    return {name: float(share.sum()) for name, share in shares.items()}, training.sampled_rois[matches == row].tolist()


def losses_along(model, image, target, rates):
    """The five losses after one plain step at each of these rates, all decisions (matches, samples, proposals) kept."""
    rng = np.random.default_rng(0)
    batch = model.transform.forward([(image / 255).astype(model.dtype)], model.dtype, rng)
    targets = [resize_target(target, batch.image_sizes[0])]
    trunk = model.forward_trunk(batch.images, Notes(batch_statistics=False))
    plan = model.make_plan(trunk, batch.image_sizes, targets, rng)
    start, rows = [parameter.data for parameter in model.parameters()], []
    for rate in rates:
        for parameter, weights in zip(model.parameters(), start):
            parameter.data = weights if parameter.grad is None else weights - rate * parameter.grad
        notes = Notes(batch_statistics=False)
        rows.append(model.losses_for(model.forward_trunk(batch.images, notes), plan, notes))
    for parameter, weights in zip(model.parameters(), start):
        parameter.data = weights
    return {name: np.array([float(row[name]) for row in rows]) for name in LOSSES}


def along_the_gradient(model, image, target):
    """The sum of the losses after one step, by the rate, beside what the slope promises; and the two largest losses."""
    model.loss_and_grads([image], [target], np.random.default_rng(0), batch_statistics=False)
    slope = sum(float((parameter.grad ** 2).sum()) for parameter in model.parameters())
    rates = np.linspace(0, 0.02, 21)
    losses = losses_along(model, image, target, rates)
    total = sum(losses.values())
    figure = new_figure(8.5, 3.1)
    ax = figure.subplots()
    ax.plot(rates[:12], total[0] - slope * rates[:12], color=MUTED, linestyle="dotted", linewidth=2)
    ax.annotate("what the slope promises", (rates[11], total[0] - slope * rates[11]), xytext=(6, 0),
                textcoords="offset points", va="center", color=MUTED)
    ax.plot(rates, total, color=INK, linewidth=2.2)
    ax.annotate("sum of the five", (rates[-1], total[-1]), xytext=(6, 0), textcoords="offset points", va="center")
    for name in ("loss_box_reg", "loss_classifier"):
        label, part, line = LOSSES[name]
        ax.plot(rates, losses[name], color=PART_COLORS[part], linestyle=line)
        ax.annotate(label, (rates[-1], losses[name][-1]), xytext=(6, 0), textcoords="offset points", va="center",
                    color=PART_COLORS[part])
    ax.axvline(0.001, color=NEGATIVE, linewidth=1)
    ax.text(0.0011, 0.03, "the step above", color=NEGATIVE, va="bottom")
    ax.axhline(total[0], color=MUTED, linewidth=0.8)
    ax.text(0.007, total[0] + 0.02, "before the step", color=MUTED, ha="center", va="bottom")
    ax.set(xlabel="learning rate of the one step", ylabel="loss after it", xlim=(0, 0.0235), ylim=(0, 1.45),
           xticks=[0, 0.005, 0.01, 0.015, 0.02])
    heading(figure, "The same direction, further and further: down, then up")
    figure.set_label("The sum of the losses after one step against its learning rate: it follows its slope, turns at "
                     "about .006 and is back at its height at about .014. The box loss turns, the class loss falls.")
    return figure


def path_of(optimizer_class, gradient, weights, num_steps, **options):
    """The weights before and after each step of one of the package's optimizers, on a loss with this gradient."""
    parameter, path = Parameter(weights.copy()), [weights]
    optimizer = optimizer_class([("weights", parameter)], **options)
    for _ in range(num_steps):
        parameter.grad = gradient(parameter.data)
        optimizer.step()
        path.append(parameter.data.copy())
    return path


def valley(loss, paths):
    """Contours of a loss of two weights, once for each path; `paths` maps a title to the (S, 2) weights."""
    figure, axes = panels(1, len(paths), 3, 2.5)
    w1, w2 = np.meshgrid(np.linspace(-4.6, 2, 100), np.linspace(-1.2, 1.2, 100))
    heights = loss(np.stack([w1, w2], axis=-1))
    for ax, (title, path) in zip(axes[0], paths.items()):
        ax.contour(w1, w2, heights, levels=[0.25, 1, 3, 8, 16, 30], colors="#C4C9D1", linewidths=0.8)
        ax.plot(*np.transpose(path), "o-", color=CURVE, markersize=3, linewidth=1)
        ax.plot(0, 0, "+", color=NEGATIVE, markersize=11, markeredgewidth=2)
        ax.set(xlabel="weight 1", title=f"{title}\nloss {loss(path[0]):.0f} becomes {loss(path[-1]):.2f}")
    axes[0, 0].set_ylabel("weight 2")
    heading(figure, "Thirty steps down one valley")
    figure.set_label("Contours of a long valley, three times, with the path of plain descent, which jumps from wall to "
                     "wall; of momentum, which swings; and of AdamW, which goes diagonally. A cross marks the goal.")
    return figure


def windows(step, values):
    """Means over windows of steps that grow with the step, so that a logarithmic axis has them side by side."""
    edges = np.unique(np.round(np.geomspace(1, step[-1] + 1, 24)).astype(int))
    which = np.digitize(step, edges)
    return [(step[which == k].mean(), values[which == k].mean()) for k in np.unique(which)]


def the_log(log):
    """Left the five losses, right the update-to-weight ratio of the five parts and the learning rate, by the step."""
    figure = new_figure(9, 4.2)
    losses, ratios = figure.subplots(1, 2)
    for name, (label, part, line) in LOSSES.items():
        x, y = zip(*windows(log["step"], log[name]))
        losses.plot(x, y, color=PART_COLORS[part], linestyle=line, linewidth=1.8)
        lift = {"box": 6, "class": -4}.get(label, 0)
        losses.annotate(label, (x[-1], y[-1]), xytext=(5, lift), textcoords="offset points", va="center",
                        color=PART_COLORS[part])
    for choices in (2, 4):
        losses.axhline(np.log(choices), xmax=0.87, color=MUTED, linestyle="dotted", linewidth=1.2)
        losses.text(1400, np.log(choices), f"ln {choices}", color=MUTED, va="center")
    for part, color in PART_COLORS.items():
        x, y = zip(*windows(log["step"], log[f"update_ratio_{part}"]))
        ratios.plot(x, y, color=color, linewidth=1.8, label=part.replace("_", " "))
    x, y = zip(*windows(log["step"], log["learning_rate"]))
    ratios.plot(x, y, color=MUTED, linestyle="dotted", linewidth=2, label="learning rate")
    ratios.legend(loc="lower center")
    ratios.set(title="length of the step / length of the weights", ylim=(1e-4, 0.1))
    losses.set(title="losses", ylim=(0.003, 3))
    for ax, right in ((losses, 3800), (ratios, 1200)):
        ax.set(xscale="log", yscale="log", xlabel="step", xlim=(1, right), xticks=[1, 10, 100, 1000])
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.grid(**GRID)
    heading(figure, "The log of 1,000 steps")
    figure.set_label("Left, five losses over 1,000 steps on logarithmic axes with their chance levels: the class "
                     "loss falls first, rises again until step 100 and falls; the box loss rises until then. Right, "
                     "update-to-weight ratios of five parts, which rise and fall with the learning rate.")
    return figure


@functools.cache
def stage(step):
    """The model after this step of the long training and its trace of the image; 0 is before the first."""
    model = maskrcnn_tiny() if step == 0 else trained_tiny(None if step == 1000 else step)
    return model, model.trace(*the_image(), rng=np.random.default_rng(0))


def after(step):
    """What became of the triangle by this step: objectness on P2, its mask in its true box, and all detections."""
    (model, trace), (image, target) = stage(step), the_image()
    logits = np.concatenate([level.ravel() for level in trace.objectness])
    rois = make_rois([target.boxes[[THE_OBJECT]].astype(model.dtype)])
    heads = model.roi_heads
    logit = heads.mask_predictor(heads.mask_head(heads.mask_pooler(trace.features[:4], rois)))[0, :, :, 3]
    figure = new_figure(7.2, 2.35)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 1, 1.25))
    belief = ops.sigmoid(trace.objectness[0]).max(axis=2)      # P2, the best of the three shapes
    artist = show_image(left, belief, image.shape[:2], axis_labels=False, cmap="gray", vmin=0, vmax=1)
    draw_boxes(left, target.boxes[[THE_OBJECT]], class_color(3), 1.5, DASHED, halo=False)
    left.set_title(f"objectness, anchor {ANCHOR}: {ops.sigmoid(logits[ANCHOR]):.3f}")
    show_image(middle, ops.sigmoid(logit), axis_labels=False, cmap="gray", vmin=0, vmax=1)
    middle.set_title("the triangle's mask")
    figure.colorbar(artist, ax=middle, shrink=0.8)
    show_image(right, image, axis_labels=False)
    found = trace.detections[trace.detections.scores > 0.5]
    draw_instances(right, found.boxes, found.labels, masks=found.masks)
    if not len(found):
        say_nothing(right, "none")
    right.set_title("detections, score > 0.5")
    heading(figure, f"After step {step:,}")
    return figure


def triangle_after(step):
    """Numbers of the triangle after a step: its anchor's objectness, best proposal, score, IoU of box and of mask."""
    _, trace = stage(step)
    target = the_image()[1]
    logits = np.concatenate([level.ravel() for level in trace.objectness])
    result = measure(trace.detections, target)
    best = ops.box_iou(target.boxes[[THE_OBJECT]], trace.proposals).max()
    return {"objectness": ops.sigmoid(logits[ANCHOR]), "best proposal": best, "score": result.scores[THE_OBJECT],
            "box IoU": result.box_iou[THE_OBJECT], "mask IoU": result.mask_iou[THE_OBJECT]}


def by_heart(log, image, told, found):
    """The five losses of a training on one image, what it was told, and what it then finds."""
    figure = new_figure(8.2, 2.6)
    curves, *pictures = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    for name, (label, part, line) in LOSSES.items():
        curves.plot(log["step"], log[name], color=PART_COLORS[part], linestyle=line, label=label)
    curves.set(xlabel="step", ylabel="loss", ylim=(0, None), title="losses")
    curves.legend(loc="upper right", ncols=2)
    for ax, title in zip(pictures, ("what it was told", "what it finds, score > 0.5")):
        show_image(ax, image, axis_labels=False)
        ax.set_title(title)
    sure = found[found.scores > 0.5]
    draw_instances(pictures[0], told.boxes, told.labels, masks=told.masks, truth=True)
    draw_instances(pictures[1], sure.boxes, sure.labels, masks=sure.masks)
    heading(figure, "Learned by heart, and wrong")
    figure.set_label("Left, losses over the steps; class, mask and objectness fall. Middle, the image with the targets "
                     "that the model was told, mirrored left to right. Right, what it finds: the mirrored places.")
    return figure


def stored_run(what):
    """A stored training of 300 steps, by what was done to it: one of `RUNS`."""
    return load_run(RUNS[what])


def singular_values(before, after):
    """The singular values of a gradient, strongest direction first, and of what Muon makes of it."""
    figure = new_figure(8.5, 2.7)
    ax = figure.subplots()
    for values, color, text, y in ((before, MUTED, "the gradient, scaled to length 1", 0.2),
                                   (after, CURVE, "Muon's step", 1.27)):
        ax.plot(range(1, len(values) + 1), values, "o-", color=color, markersize=3, linewidth=1)
        ax.text(9, y, text, color=color)
    ax.set(xlabel="direction, strongest first", ylabel="singular value", ylim=(0, 1.4))
    heading(figure, "The same directions, about equally strong")
    figure.set_label("Singular values of a gradient, which fall steeply from .73, and of Muon's step: between .7 and "
                     "1.2 for most directions.")
    return figure
