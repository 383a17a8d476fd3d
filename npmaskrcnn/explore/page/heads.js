// What happens to one region: how it is read from the pyramid, what it is called, which of its boxes remain, and the
// masks that are painted for it.

import {Panel} from "./panels.js";
import {setBars} from "./marks.js";
import {button, choice, make, setText, slider} from "./widgets.js";
import {LIT, boxOf, classColor, putColors, putHeat, round, theme} from "./draw.js";

/** RoIAlign: level, points, patch. */
export class Region extends Panel {
  showsRegion = true;
  constructor(app) {
    super(app, "region", "One region, read", "RoIAlign reads the region at a grid of points between the cells, on the "
      + "level that fits its size. However large it is, 7 × 7 cells come out: the heads always get the same number of "
      + "numbers. It is the region of the object that you point at, or of the surest.", {lesson: "09_roi_align",
      attempt: "Move a shape by the arrow keys, pixel by pixel: the points go along. Those of RoIPool (Who looks) jump "
      + "from cell to cell.", otherwise: {
        roi_pool: "RoIPool, the older way: the region is rounded to whole cells and cut into 7 × 7 bins, and in each "
          + "channel the largest number of a bin is taken. The dots are the cells that had one.",
        unaligned: "This model rounds the region to whole cells first, and reads it then as RoIAlign does. So the "
          + "points do not fill the box, or leave it."}});
    this.picture = this.newPicture("The region and the points where it is read");
    this.patch = make("canvas", {role: "img", "aria-label": "The 7 × 7 patch in false colors", id: "patch"});
    this.rank = slider("Proposal", {min: 0, max: 0, step: 1, value: 0, words: value => `${value}`, oninput: value => {
      app.readProposal(value);
      this.#state();
    }});
    this.follow = button("Follow the object", () => {
      app.readProposal(null);
      this.#state();
    }, {"aria-pressed": "true"});
    this.fill(make("div", {class: "split"}, this.picture.canvas, make("div", {class: "beside"},
      make("figure", {}, make("div", {class: "map"}, this.patch), make("figcaption", {}, "7 × 7 patch")), this.facts)),
      this.rank.element, make("div", {class: "controls"}, this.follow), this.caption);
  }
  #state() { this.follow.setAttribute("aria-pressed", String(this.app.ownProposal === null)); }
  draw() {
    const {look, region, base, history} = this.app;
    if (!look) return;
    const {width, height, counts, levels} = look.answer;
    this.rank.input.max = Math.max(0, counts.proposals - 1);
    this.rank.input.disabled = !counts.proposals;
    this.rank.set(this.app.ownProposal ?? region?.answer.proposal ?? this.rank.value); // or the last one that there is
    if (!region) {
      if (counts.proposals) return; // its answer is on the way
      this.picture.begin(width, height, base, .45);
      this.patch.width = this.patch.width; // empty
      return this.say("There is no proposal.");
    }
    const {answer, arrays} = region, picture = this.picture.begin(width, height, base, .45);
    const color = history && history.roi === answer.proposal ? LIT : theme.kept, points = arrays.points_pixels.data;
    picture.box(answer.box, color, {width: 2.5, halo: true});
    const apart = (answer.box[2] - answer.box[0]) / 14, size = Math.min(1.5, .28 * apart / picture.line);
    for (let i = 0; i < points.length; i += 2) picture.dot(points[i], points[i + 1], theme.ink, size);
    putColors(this.patch, arrays.patch);
    this.say(`Proposal ${answer.proposal} of ${counts.proposals} (0 is the surest), read from `
      + `${levels[answer.level].name}: ` + (answer.reads === "points"
        ? `${points.length / 2} points, each patch cell the mean of four.`
        : `${points.length / 2} cells, the largest of each bin (RoIPool).`));
  }
}

/** The box head's answer: class scores, and a box for each class. */
export class Classes extends Panel {
  showsRegion = true;
  constructor(app) {
    super(app, "classes", "What is it?", "From the 7 × 7 patch the box head says how sure it is of each class, and "
      + "moves the region's box (dashed), for each class in its own way (solid).", {lesson: "10_box_head",
      attempt: "Push a triangle over a circle, slowly. When does the answer change?"});
    this.picture = this.newPicture("The region's box, and the box for each class");
    this.bars = make("div", {class: "bars", id: "class-scores"});
    this.fill(this.picture.canvas, this.bars, this.caption);
  }
  draw() {
    const {look, region, base} = this.app;
    if (!look) return;
    const {width, height, counts} = look.answer;
    if (!region) {
      if (counts.proposals) return;
      this.picture.begin(width, height, base, .45);
      return setBars(this.bars, []);
    }
    const {answer, arrays} = region, names = answer.class_names, scores = arrays.class_scores.data;
    const picture = this.picture.begin(width, height, base, .45);
    picture.box(answer.box, theme.ink, {width: 1.5, dash: [4, 3]});
    for (let label = 1; label < names.length; label++) {
      picture.box(boxOf(arrays.class_boxes, label), classColor(names, label),
        {width: scores[label] > .5 ? 3 : 1.5, alpha: Math.max(.3, scores[label]), halo: scores[label] > .5});
    }
    setBars(this.bars, names.map((name, label) => ({name, value: scores[label], color: classColor(names, label)})));
  }
}

/** Candidates, and NMS in each class. */
export class Candidates extends Panel {
  constructor(app) {
    super(app, "candidates", "Candidates and their NMS", "Each region and each class with a score above the threshold "
      + "is a candidate. Within a class, of two that overlap too much only the better stays: solid lines. Dashed ones "
      + "are dropped.", {lesson: "10_box_head", attempt: "Choose the picture “Two squares, one found”, and allow an "
      + "overlap of 0.70."});
    this.only = "";
    this.picture = this.newPicture("Candidates, kept and dropped");
    const {thresholds} = app.hello;
    this.score = slider("Score above", {min: 0, max: 1, step: .01, value: thresholds.score_threshold,
                                           oninput: value => app.setThreshold("score_threshold", value)});
    this.nms = slider("Overlap allowed", {min: 0, max: 1, step: .01, value: thresholds.box_nms,
                                          oninput: value => app.setThreshold("box_nms", value)});
    this.score.input.id = "score-threshold";
    this.nms.input.id = "box-nms";
    this.pick = choice("Class", [["", "all"]], value => { this.only = value; this.draw(); });
    this.fill(this.picture.canvas, this.score.element, this.nms.element,
      make("div", {class: "controls"}, this.pick.element), this.facts, this.caption);
  }
  draw() {
    const {look, base, history} = this.app;
    if (!look) return;
    const {width, height, class_names: names, counts} = look.answer, {arrays} = look;
    if (names.join() !== this.names?.join()) {
      this.names = names;
      this.only = "";
      this.pick.set([["", "all"], ...names.slice(1).map((name, i) => [i + 1, name])]);
    }
    this.app.showThreshold("score_threshold", this.score);
    this.app.showThreshold("box_nms", this.nms);
    const picture = this.picture.begin(width, height, base, .55), kept = new Set(arrays.detection_rows.data);
    const labels = arrays.candidate_labels.data, scores = arrays.candidate_scores.data;
    const rows = [...labels.keys()].filter(row => !this.only || labels[row] === +this.only)
      .sort((a, b) => kept.has(a) - kept.has(b) || scores[a] - scores[b]);
    for (const row of rows) {
      picture.box(boxOf(arrays.candidate_boxes, row), classColor(names, labels[row]), kept.has(row)
        ? {width: 2, alpha: .35 + .65 * scores[row]} : {width: 1.2, dash: [4, 3], alpha: .3 + .5 * scores[row]});
    }
    if (history) picture.box(boxOf(arrays.candidate_boxes, history.candidate), LIT, {width: 3, halo: true});
    this.say(`${counts.candidates} candidates: ${counts.detections} stay as detections, `
      + `${counts.candidates - counts.detections} are dropped.`);
  }
}

/** The masks of all classes. */
export class Masks extends Panel {
  showsRegion = true;
  constructor(app) {
    super(app, "masks", "Masks of every class", "For the detection the mask head paints 28 × 28 probabilities for "
      + "every class, each without regard to the others. The class that the box head has chosen decides which one "
      + "counts (framed); that of the background is never used.", {lesson: "11_mask_head",
      attempt: "Push the square over the triangle. Whose mask takes the pixels?", otherwise: {
        softmax: "In this model the classes compete: in each of the 28 × 28 pixels the probabilities of all masks, "
          + "background included, add up to one. The class that the box head has chosen decides which one counts "
          + "(framed)."}});
    this.grid = make("div", {class: "maps", id: "mask-maps"});
    this.fill(this.grid, this.facts, this.caption);
  }
  draw() {
    const {look, region} = this.app;
    if (!look || !region && look.answer.counts.proposals) return;
    const masks = region?.arrays.masks;
    if (!masks) {
      for (const figure of this.grid.children) { // they keep their place, so that nothing jumps
        const canvas = figure.querySelector("canvas");
        canvas.width = canvas.width; // empties it
        figure.classList.remove("counts");
      }
      return this.say(!region || region.answer.detection === undefined
        ? "Masks are painted for detections only, and this region is none." : "This model has no masks.");
    }
    const [count, height, width] = masks.shape, {answer} = region, names = answer.class_names;
    while (this.grid.children.length > count) this.grid.lastChild.remove();
    while (this.grid.children.length < count) {
      this.grid.append(make("figure", {}, make("div", {class: "map"}, make("canvas", {role: "img"})),
        make("figcaption")));
    }
    for (let label = 0; label < count; label++) {
      const figure = this.grid.children[label], canvas = figure.querySelector("canvas");
      putHeat(canvas, masks.data.subarray(label * height * width), width, height);
      canvas.setAttribute("aria-label", `Mask for ${names[label]}`);
      setText(figure.lastChild, names[label]);
      figure.classList.toggle("counts", label === answer.label);
    }
    const sure = round(100 * look.answer.detections[answer.detection].score);
    this.say(`The box head says: ${names[answer.label]}, ${sure} %. The mask head has read its box anew, from `
      + `${look.answer.levels[answer.mask_level].name}.`);
  }
}
