// What the network sees before it looks for anything: the maps of its body and its pyramid; and how likely, cell by
// cell, it finds an object there.

import {Panel} from "./panels.js";
import {frame, shapeNames} from "./marks.js";
import {choice, make, setText, slider} from "./widgets.js";
import {putColors, putHeat, round} from "./draw.js";

/** A row of maps, one a level; each is a canvas of as many pixels as the map has cells. */
class Maps extends Panel {
  constructor(app, name, title, caption, more, columns = "") {
    super(app, name, title, caption, more);
    this.grid = make("div", {class: `maps ${columns}`});
    this.figures = new Map();
  }
  get levels() { return this.app.look.answer.levels; }
  /** The figures of the levels, made anew if another model has others; all are stretched over the same picture. */
  each() {
    const {levels} = this, {width, height} = this.app.look.answer.span;
    this.grid.style.setProperty("--ratio", width / height);
    this.grid.classList.toggle("tall", width < .7 * height);
    if (levels.map(level => level.name).join() !== [...this.figures.keys()].join()) {
      this.figures = new Map(levels.map(({name}) => {
        const canvas = make("canvas", {role: "img", "aria-label": `${this.title}: ${name}`, "data-map": name});
        const cell = make("i", {hidden: true}), box = make("i", {class: "box", hidden: true});
        const words = make("figcaption");
        const figure = make("figure", {}, make("div", {class: "map"}, canvas, box, cell), words);
        return [name, {canvas, cell, box, words, figure}];
      }));
      this.grid.replaceChildren(...[...this.figures.values()].map(({figure}) => figure));
    }
    return levels.map(level => [level, this.figures.get(level.name)]);
  }
  /** Light the cell where the object was born, and the box by which it was read. */
  light(withBox = true) {
    const {history, look} = this.app, {width, height} = look.answer.span;
    look.answer.levels.forEach(({name, stride: [sy, sx]}, i) => {
      const {cell, box} = this.figures.get(name);
      cell.hidden = history?.level !== i;
      box.hidden = !withBox || history?.roi_level !== i;
      if (!cell.hidden) {
        const [y, x] = history.cell;
        frame(cell, [x * sx, y * sy, (x + 1) * sx, (y + 1) * sy], width, height);
      }
      if (!box.hidden) frame(box, history.proposal_box, width, height);
    });
  }
}

/** C2..C5 or P2..P6, in false colors or a channel of one of them. */
export class Features extends Maps {
  constructor(app, letter, ...words) {
    super(app, `maps-${letter}`, ...words, letter === "P" ? "three" : "");
    this.letter = letter;
    this.level = ""; // by channel
    this.pick = choice("Show", [["", "all in false colors"]], value => this.setLevel(value));
    this.channel = slider("Channel", {min: 0, max: 47, step: 1, value: 0, words: value => `${value}`,
                                      oninput: () => this.ask()});
    this.channel.element.hidden = true;
    this.fill(this.grid, make("div", {class: "controls"}, this.pick.element), this.channel.element, this.facts,
      this.caption);
  }
  get levels() {
    const {answer} = this.app.look;
    return this.letter === "C" ? answer.body_levels : answer.levels;
  }
  setLevel(name) {
    this.level = name;
    this.channel.element.hidden = !name;
    this.draw();
    this.ask();
  }
  askFurther() { return this.ask(); }
  /** Ask for the channel, if one is to be seen. */
  async ask() {
    const level = this.level && this.levels.find(({name}) => name === this.level);
    if (!level) return;
    this.channel.input.max = level.channels - 1;
    this.channel.say();
    const outcome = await this.app.ask(`channel ${this.letter}`, {ask: "channel", level: this.level,
      channel: this.channel.value, look: this.app.look.answer.look});
    if (!outcome || outcome.answer.level !== this.level) return;
    const {low, high, channel} = outcome.answer, {data, shape: [height, width]} = outcome.arrays.values;
    putHeat(this.figures.get(this.level).canvas, data, width, height, low, high);
    this.say(`${this.level}, channel ${channel}: from ${round(low, 2)} (dark) to ${round(high, 2)} (bright).`);
  }
  draw() {
    const {look} = this.app;
    if (!look) return;
    const options = this.levels.map(({name}) => name);
    if (options.join() !== this.options?.join()) {
      this.options = options;
      this.pick.set([["", "all in false colors"], ...options.map(name => [name, `${name} by channel`])]);
      this.level = "";
      this.channel.element.hidden = true;
    }
    for (const [{name, height, width}, {canvas, words}] of this.each()) {
      if (name !== this.level) putColors(canvas, look.arrays[name]);
      setText(words, `${name}: ${width} × ${height}`);
    }
    if (!this.level) {
      const numbers = [...new Set(this.levels.map(({channels}) => channels))].join(", ");
      this.say(`Channels: ${numbers}; their three main directions are shown as red, green and blue.`);
    }
    if (this.letter === "P") this.light();
  }
}

/** The RPN's objectness, level by level. */
export class Objectness extends Maps {
  constructor(app) {
    super(app, "objectness", "Is there an object?", "The region proposal network (RPN) gives every anchor its "
      + "objectness, a probability that there is an object. A cell has anchors of three forms; bright is yes.", {
      lesson: "08_proposals", attempt: "Make a shape larger and larger: the bright spot wanders from P2 to P4, where "
      + "the anchors have its size."}, "three");
    this.which = "best";
    this.pick = choice("Anchors", [["best", "best of each cell"]], value => { this.which = value; this.draw(); });
    this.fill(this.grid, make("div", {class: "controls"}, this.pick.element), this.facts, this.caption);
  }
  draw() {
    const {look} = this.app;
    if (!look) return;
    const {anchors_per_cell: perCell, counts} = look.answer, numbers = look.arrays.objectness.data;
    if (perCell !== this.perCell) {
      this.perCell = perCell;
      this.which = "best";
      this.pick.set([["best", "best of each cell"],
        ...shapeNames(look.arrays, perCell).map((name, i) => [i, `only the ${name} ones`])]);
    }
    let sure = 0;
    for (const number of numbers) sure += number >= .5;
    for (const [{name, height, width, first}, {canvas, words}] of this.each()) {
      const shown = new Float32Array(height * width);
      for (let cell = 0; cell < shown.length; cell++) {
        const at = first + cell * perCell;
        shown[cell] = this.which === "best" ? Math.max(...numbers.subarray(at, at + perCell))
          : numbers[at + Number(this.which)];
      }
      putHeat(canvas, shown, width, height);
      setText(words, `${name}: up to ${round(Math.max(...shown), 2)}`);
    }
    this.say(`${sure} of ${counts.anchors} anchors say one half or more.`);
    this.light(false);
  }
}
