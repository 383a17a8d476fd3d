// How the network learns: which pixels change a loss, and a training that one can watch.

import {Panel, Slow} from "./panels.js";
import {button, choice, make, setText} from "./widgets.js";
import {onTheme, putHeat, round} from "./draw.js";

const TOTAL = "loss_total";
const LINES = {loss_objectness: "#0072B2", loss_rpn_box_reg: "#56B4E9", loss_classifier: "#D55E00",
               loss_box_reg: "#E69F00", loss_mask: "#009E73", [TOTAL]: "#8a8a8a"};
const SHORT = {loss_objectness: "RPN: object?", loss_rpn_box_reg: "RPN: box", loss_classifier: "head: class",
               loss_box_reg: "head: box", loss_mask: "head: mask", [TOTAL]: "sum"};

/** The gradient of a loss on the pixels. */
export class Gradient extends Slow {
  constructor(app) {
    super(app, "gradient", "Which pixels matter?", "The shapes are known, so the network can be told how wrong it is: "
      + "five losses. Bright pixels change the chosen loss most. Asking changes nothing in the network.", {
      lesson: "12_losses", attempt: "Compare “which pixels?” with “of which class?”. Then hide half of a shape."});
    this.loss = null;
    this.picture = this.newPicture("The gradient of the loss on the pixels");
    this.map = make("canvas");
    const options = [...app.hello.losses, {name: TOTAL, label: "The sum of all five"}];
    this.pick = choice("Loss", [["", "choose one …"], ...options.map(({name, label}) => [name, label])], name => {
      this.loss = name || null;
      this.outcome = null;
      this.draw();
      this.ask();
    }, {id: "loss"});
    this.fill(this.picture.canvas, make("div", {class: "controls"}, this.pick.element), this.facts, this.caption);
  }
  async ask() {
    const {app, loss} = this;
    if (!loss || !app.look) return;
    let number = null;
    const outcome = await app.line.ask("gradient", () => {
      number = app.look.answer.look;
      return {ask: "gradient", scene: app.stage.scene, model: app.model, loss};
    });
    if (loss === this.loss) this.take(outcome, number);
  }
  drawNew() {
    const {look, base} = this.app;
    if (!look) return;
    const {width, height} = look.answer;
    const gradient = this.outcome?.arrays.gradient;
    this.element.dataset.shown = gradient ? this.outcome.answer.loss : "";
    if (!gradient) {
      this.picture.begin(width, height, base, .45);
      return this.say(this.outcome?.answer.error ?? "");
    }
    const {high, losses, loss, milliseconds} = this.outcome.answer, [rows, columns] = gradient.shape;
    // By square roots, or one would see a few pixels alone.
    this.picture.begin(columns, rows, putHeat(this.map, gradient.data.map(Math.sqrt), columns, rows, 0,
      Math.sqrt(high)));
    this.say(`The loss is ${round(losses[loss], 3)}; ` + (high ? `the brightest pixel changes it by up to `
      + `${high.toPrecision(2)} per unit of brightness (black to white is 1). ${round(milliseconds)} ms.`
      : "no pixel changes it, since nothing here takes part in it.") + this.ofPicture());
  }
}

const inSteps = count => `${count} ${count === 1 ? "step" : "steps"}`;

/** Training on the scene, while one looks on. */
export class Training extends Panel {
  constructor(app) {
    super(app, "training", "Train it yourself", "The network learns the shapes on the stage, step by step; untrained, "
      + "it finds the first after some thirty steps. Move a shape meanwhile, and see whether it has learned circles or "
      + "only this circle.", {lesson: "13_training", attempt: "Train on one circle until it is found. Then drag "
      + "it sideways, slowly, and change its color."});
    this.turn = null;               // whose turn it is to train, or null
    this.last = Promise.resolve();  // until that is settled, no other button's question is asked
    this.losses = null;
    this.from = choice("Begin with", app.hello.models.map(({name, label}) => [name, label]), () => {},
                       {id: "train-from"});
    this.from.select.value = "untrained";
    this.start = button("Start", () => this.begin(), {id: "train-start"});
    this.go = button("Go on", () => this.toggle(), {id: "train-go", disabled: true});
    this.reset = button("Reset", () => this.again(), {id: "train-reset", disabled: true});
    this.curve = make("canvas", {class: "curve", role: "img", "aria-label": "Losses, step by step"});
    this.legend = make("ul", {class: "legend"});
    this.failure = make("p", {role: "alert"});
    this.steps = 0;
    this.fill(make("div", {class: "controls"}, this.from.element, this.start, this.go, this.reset), this.failure,
      this.curve, this.legend, this.facts, this.caption);
    new ResizeObserver(() => this.plot()).observe(this.curve);
    onTheme(() => this.plot());
  }
  get running() { return this.turn !== null; }
  #state(turn) {
    this.turn = turn;
    this.go.textContent = this.running ? "Stop" : "Go on";
    this.go.disabled = this.reset.disabled = this.losses === null;
    this.element.dataset.running = this.running;
  }
  begin() { this.#do({action: "start", model: this.from.select.value}, true); }
  toggle() {
    if (this.running) return this.stop();
    this.app.showTraining();
    this.#do(null, true);
  }
  stop() {
    if (!this.running) return;
    this.#state(null);
    this.app.changed(); // what has changed since the last step
  }
  again() {
    this.app.showTraining();
    this.#do({action: "reset"}, false);
  }
  /** Do what a button says, and train on, if it says so, until it is another button's turn. That one waits for the last
   *  answer, so that none of the questions takes the place of another. */
  #do(request, trainsOn) {
    const turn = trainsOn ? {} : null;
    this.#state(turn);
    const next = async () => {
      let isWell = !request || await this.#ask(request);
      while (isWell && trainsOn && this.turn === turn) isWell = await this.#ask({action: "go", steps: 1});
      if (isWell) return;
      if (this.turn === turn) this.#state(null);
      this.app.changed(); // it was left to the steps to look at the scene
    };
    this.last = this.last.then(next, next);
  }
  /** Ask, and show what comes; whether all went well. */
  async #ask(request) {
    const {app} = this;
    let asked = null;
    const outcome = await app.line.ask("train", () => {
      asked = app.changedAt;
      return {ask: "train", ...request, scene: app.stage.scene, ...app.thresholds, roi: app.wish()};
    });
    setText(this.failure, outcome?.answer.error ?? "");
    if (!outcome || outcome.answer.error) return false;
    this.losses = outcome.answer.losses;
    this.steps = outcome.answer.steps;
    this.#state(this.turn);
    if (request.action === "start") {
      this.began = request.model;
      if (this.running) app.showTraining(); // unless somebody has stopped it, or has chosen another model
      if (app.model === "training") for (const panel of app.panels) panel.describe(this.began);
    }
    if (app.model === "training") await app.received(outcome, asked);
    this.plot();
    this.draw();
    return true;
  }
  draw() {
    this.element.dataset.steps = this.steps;
    this.say(this.steps ? `${inSteps(this.steps)} on the shapes of the stage.${this.ofPicture()}` : "");
  }
  /** The curves: with each step, and not with each look, whose drawing would take a third longer. */
  plot() {
    const ratio = window.devicePixelRatio || 1, {curve, losses} = this;
    const width = Math.max(50, Math.round(curve.clientWidth * ratio)), height = Math.round(150 * ratio);
    if (curve.width !== width || curve.height !== height) Object.assign(curve, {width, height});
    const context = curve.getContext("2d"), style = getComputedStyle(document.documentElement);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = style.getPropertyValue("--line");
    context.fillStyle = style.getPropertyValue("--soft");
    context.lineWidth = ratio;
    context.font = `${11 * ratio}px system-ui, sans-serif`;
    const names = Object.keys(losses ?? LINES), count = this.steps;
    const all = names.flatMap(name => losses?.[name] ?? []), high = all.reduce((a, b) => Math.max(a, b), 1);
    const top = 8 * ratio, bottom = height - 16 * ratio, left = 26 * ratio;
    const x = step => left + (width - left) * step / count, y = value => bottom - (bottom - top) * value / high;
    for (const value of [0, high / 2, high]) {
      context.strokeRect(left, y(value), width - left, 0);
      context.fillText(round(value, 1), 0, y(value) + 4 * ratio);
    }
    context.fillText(inSteps(count), Math.max(left, width - 64 * ratio), height - 3 * ratio);
    for (const name of names) {
      context.strokeStyle = LINES[name] ?? "#888";
      context.lineWidth = (name === TOTAL ? 1.5 : 2) * ratio;
      context.beginPath();
      losses?.[name].forEach((value, i) => context.lineTo(x(i + 1), y(value)));
      if (count === 1) context.arc(x(1) - 4 * ratio, y(losses[name][0]), 1.5 * ratio, 0, 2 * Math.PI); // a dot
      context.stroke();
    }
    this.#names(names);
  }
  #names(names) {
    while (this.legend.children.length < names.length) this.legend.append(make("li", {}, make("i"), make("span")));
    names.forEach((name, i) => {
      const item = this.legend.children[i], last = this.losses?.[name]?.at(-1);
      item.firstChild.style.background = LINES[name] ?? "#888";
      item.lastChild.textContent = (SHORT[name] ?? name) + (last === undefined ? "" : ` ${round(last, 2)}`);
    });
  }
}
