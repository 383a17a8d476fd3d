// Three minds: the same picture as the network has seen it on its way, side by side.

import {Slow, drawFound} from "./panels.js";
import {foundWords} from "./found.js";
import {make, setText} from "./widgets.js";
import {classColor, putColors, round} from "./draw.js";

const THREE = ["step-100", "step-400", "finished"];

export class Minds extends Slow {
  constructor(app) {
    super(app, "minds", "Three minds", "The same picture as the network saw it after 100 and after 400 steps of its "
      + "training, and at the end. Whoever else is chosen under “Who looks” stands beside them. They answer when your "
      + "hand rests.", {lesson: "13_training", attempt: "Press “Random picture” a few times. What does the network of "
      + "400 steps miss, what does it see twice?"});
    this.element.classList.add("wide");
    this.grid = make("div", {class: "minds"});
    this.figures = new Map();
    this.masks = make("canvas");
    this.image = make("canvas");
    this.fill(this.grid, this.facts, this.caption);
    this.inSight = false;
    new IntersectionObserver(entries => {
      this.inSight = entries.at(-1).isIntersecting;
      this.ask();
    }).observe(this.element);
  }
  /** Who is to be seen: the three, and the one who looks. */
  get names() { return [...new Set([...THREE, this.app.model])]; }
  /** Ask once the hand rests, and only if somebody looks: passes are not to be made for nobody. One mind is asked after
   *  the other, so that whoever takes hold of a shape again need not wait for all. */
  async ask() {
    const {app} = this, number = app.look?.answer.look;
    if (!this.inSight || !number || !app.atRest || this.lookNumber === number) return;
    const minds = [], arrays = {};
    for (const name of this.names) {
      const outcome = await app.line.ask("minds", () => ({ask: "minds", scene: app.stage.scene, models: [name],
                                                          ...app.thresholds}));
      if (!outcome || !app.atRest || number !== app.look.answer.look) return;
      if (outcome.answer.error) return this.take(outcome, number);
      minds.push(...outcome.answer.minds);
      Object.assign(arrays, outcome.arrays);
    }
    this.take({answer: {minds}, arrays}, number);
  }
  drawNew() {
    const {look, base} = this.app, {outcome} = this;
    if (!look || !outcome && this.figures.size) return; // nobody has looked at this panel yet
    if (!outcome) return this.#show(this.names).forEach(({picture}) => begin(picture, base));
    const {minds, error} = outcome.answer;
    this.say(error ?? "");
    if (error) return;
    putColors(this.image, outcome.arrays.image);
    const figures = this.#show(minds.map(mind => mind.model));
    minds.forEach((mind, i) => this.#draw(figures[i], mind, outcome.arrays[`masks.${mind.model}`]));
  }
  #draw({picture, words, label}, {class_names: names, detections}, masks) {
    const {shownScore} = this.app, {width, height} = begin(picture, this.image);
    const rows = [...detections.keys()].filter(row => detections[row].score >= shownScore);
    drawFound(picture, this.masks, {width, height, names, detections, masks}, rows);
    const [best] = detections, found = foundWords(names, rows.map(row => detections[row]))
      + (best && !rows.length ? ` The surest: ${names[best.label]}, ${round(100 * best.score)} %.` : "");
    if (best && !rows.length) picture.box(best.box, classColor(names, best.label), {width: 1.5, dash: [4, 3]});
    setText(words, found);
    picture.canvas.setAttribute("aria-label", `${label}. ${found}`);
  }
  /** A figure for each of these models, in this order. */
  #show(models) {
    if (models.join() !== [...this.figures.keys()].join()) {
      this.figures = new Map(models.map(name => [name, this.figures.get(name) ?? this.#figure(name)]));
      this.grid.replaceChildren(...[...this.figures.values()].map(({figure}) => figure));
    }
    return [...this.figures.values()];
  }
  #figure(name) {
    const label = this.app.hello.models.find(model => model.name === name)?.label ?? "In training";
    const picture = this.newPicture(label), words = make("span");
    const figure = make("figure", {"data-mind": name}, picture.canvas,
      make("figcaption", {}, make("strong", {}, label), words));
    return {picture, words, label, figure};
  }
}

/** Begin a picture over one that has a pixel for a pixel; returns that one. */
function begin(picture, image) {
  picture.begin(image.width, image.height, image, .35);
  return image;
}
