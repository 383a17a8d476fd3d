// From anchors to proposals: where the network begins to look, and what is left when overlapping boxes are dropped.

import {Panel} from "./panels.js";
import {ARROWS, setBars, shapeNames} from "./marks.js";
import {choice, make, setText, slider} from "./widgets.js";
import {LIT, boxOf, clamp, theme} from "./draw.js";

/** The anchors of the cell under the pointer, and the boxes that they would become. */
export class Anchors extends Panel {
  constructor(app) {
    super(app, "anchors", "Anchors under the pointer", "Point at the stage or at this picture. Dashed: the anchors of "
      + "this cell, boxes that lie there before anything is seen. Solid: what the RPN would make of each. They are "
      + "centered on the upper left corner of the cell.", {lesson: "06_anchors", attempt: "Point at the middle of a "
      + "shape, then at its rim. Which anchor moves to where the shape is?"});
    this.place = null; // where the pointer is, in the scene
    this.keyed = null; // the cell to which the arrow keys have gone: {level, a row of the levels, x, y}
    this.level = "";
    this.picture = this.newPicture("Anchors of one cell; arrow keys move to another", {tabindex: 0});
    this.pick = choice("Level", [["", "where objectness is highest"]], value => {
      this.level = value;
      this.keyed = null;
      this.draw();
    });
    this.bars = make("div", {class: "bars"});
    this.fill(this.picture.canvas, make("div", {class: "controls"}, this.pick.element), this.bars, this.facts,
      this.caption);
    const {canvas} = this.picture;
    const point = event => {
      const {width, height} = app.stage.scene;
      this.set(this.picture.place(event, width, height));
    };
    canvas.addEventListener("pointerdown", point); // where a finger has tapped remains
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerleave", event => event.pointerType === "mouse" && this.set(null));
    canvas.addEventListener("blur", () => this.set(null));
    canvas.addEventListener("keydown", event => this.#key(event));
  }
  set(place) {
    this.place = place;
    this.keyed = null;
    this.draw();
  }
  #key(event) {
    if (!(event.key in ARROWS) || !this.app.look) return;
    event.preventDefault();
    const [dx, dy] = ARROWS[event.key], {level, x, y} = this.cell(), {levels} = this.app.look.answer;
    this.place = null;
    this.keyed = {level: levels.indexOf(level), x: clamp(x + dx, 0, level.width - 1),
                  y: clamp(y + dy, 0, level.height - 1)};
    this.draw();
  }
  /** The cell that is shown: {level, x, y, first}, first being the row of its first anchor. It is the one to which the
   *  keys have gone, or where the pointer is, or where the object began that is lit, or the best one. */
  cell() {
    const {look, subject} = this.app, {levels, anchors_per_cell: perCell, detections, span} = look.answer;
    const at = (level, column, row) => {
      const x = clamp(column, 0, level.width - 1), y = clamp(row, 0, level.height - 1);
      return {level, x, y, first: level.first + (y * level.width + x) * perCell};
    };
    const {place, keyed} = this, born = place ? null : detections[subject]?.history;
    if (keyed && !place) return at(levels[keyed.level], keyed.x, keyed.y);
    let [px, py] = place ?? [span.width / 2, span.height / 2];
    if (born) { // where its anchor's middle is
      const [row, column] = born.cell, [sy, sx] = levels[born.level].stride;
      [px, py] = [column * sx, row * sy];
    }
    const cells = levels.filter(({name}, i) => this.level ? name === this.level : !born || i === born.level)
      .map(level => at(level, Math.floor(px / level.stride[1]), Math.floor(py / level.stride[0])));
    const best = ({first}) => Math.max(...look.arrays.objectness.data.subarray(first, first + perCell));
    return cells.reduce((a, b) => best(b) > best(a) ? b : a);
  }
  draw() {
    const {look, base, lit, history} = this.app;
    if (!look) return;
    const {width, height, anchors_per_cell: perCell, levels} = look.answer, {arrays} = look;
    const names = levels.map(({name}) => name);
    if (names.join() !== this.names?.join()) {
      this.names = names;
      this.level = "";
      this.keyed = null;
      this.pick.set([["", "where objectness is highest"], ...names.map(name => [name, name])]);
    }
    const picture = this.picture.begin(width, height, base, .45), {level, x, y, first} = this.cell();
    const [sy, sx] = level.stride, rows = Array.from({length: perCell}, (_, i) => first + i);
    const born = !this.place && lit !== null ? history.anchor : null;
    picture.box([x * sx, y * sy, (x + 1) * sx, (y + 1) * sy], theme.ink, {width: 1, fill: "rgba(128, 128, 128, .45)"});
    const scores = rows.map(row => arrays.objectness.data[row]), best = rows[scores.indexOf(Math.max(...scores))];
    for (const row of rows) picture.box(boxOf(arrays.anchors, row), theme.ink, {width: 1.5, dash: [4, 3]});
    rows.forEach((row, i) => {
      const strong = row === best || row === born;
      picture.box(boxOf(arrays.moved, row), row === born ? LIT : theme.kept,
        {width: strong ? 3 : 1.5, alpha: Math.max(.25, scores[i]), halo: strong});
    });
    const forms = shapeNames(arrays, perCell);
    setBars(this.bars, scores.map((value, i) => ({name: forms[i], value, color: rows[i] === born ? LIT : theme.kept})));
    this.say(`${level.name}, row ${y}, column ${x}: objectness of its ${perCell} anchors.`);
    Object.assign(this.element.dataset, {level: level.name, row: y, column: x});
  }
}

/** Proposals before and after NMS. */
export class Proposals extends Panel {
  constructor(app) {
    super(app, "proposals", "Proposals", "First: the best anchors of each level, moved. Then: what non-maximum "
      + "suppression (NMS) leaves: of two boxes of a level that overlap by more than the threshold, only the better. "
      + "The surest of these become proposals. The stronger the line, the surer.", {lesson: "08_proposals",
      attempt: "Allow an overlap of 0.10. What stays, and is anything lost in the result?"});
    this.before = this.newPicture("Boxes before NMS");
    this.after = this.newPicture("Boxes after NMS: the proposals");
    this.words = [make("figcaption"), make("figcaption")];
    this.nms = slider("Overlap allowed", {min: 0, max: 1, step: .01, value: app.hello.thresholds.rpn_nms,
                                          oninput: value => app.setThreshold("rpn_nms", value)});
    this.nms.input.id = "rpn-nms";
    this.fill(make("div", {class: "maps one"}, make("figure", {}, this.before.canvas, this.words[0]),
      make("figure", {}, this.after.canvas, this.words[1])), this.nms.element, this.caption);
  }
  draw() {
    const {look, base, history} = this.app;
    if (!look) return;
    const {width, height, counts} = look.answer, {moved, top_k: top, kept, objectness, proposals} = look.arrays;
    this.app.showThreshold("rpn_nms", this.nms);
    this.before.begin(width, height, base, .6);
    this.after.begin(width, height, base, .6);
    const left = new Set(kept.data);
    const line = row => .12 + .75 * objectness.data[top.data[row]];
    for (let row = top.data.length - 1; row >= 0; row--) {
      if (left.has(row)) continue;
      this.before.box(boxOf(moved, top.data[row]), theme.dropped, {width: 1, alpha: line(row) * .7});
    }
    for (let i = kept.data.length - 1; i >= 0; i--) {
      const row = kept.data[i];
      this.before.box(boxOf(moved, top.data[row]), theme.kept, {width: 1.2, alpha: line(row)});
      this.after.box(boxOf(proposals, i), theme.kept, {width: 1.5, alpha: line(row)});
    }
    if (history) {
      for (const picture of [this.before, this.after]) picture.box(history.proposal_box, LIT, {width: 3, halo: true});
      this.before.box(history.anchor_box, LIT, {width: 1.5, dash: [4, 3]});
    }
    setText(this.words[0], `before: ${counts.top_k} boxes (orange ones go)`);
    setText(this.words[1], `after: ${counts.proposals} proposals`);
  }
}
