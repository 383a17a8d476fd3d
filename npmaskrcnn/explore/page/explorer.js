// The explorer: puts the page together. Python is asked for a look at the scene (looks.js), and everything on the page
// draws what has come: the stage, the list of what is found (found.js), and the panels. The page computes nothing of
// the model. What it remembers besides the scene is who is in focus, and which region is read (focus.js).

import {chosenTransport} from "./transport.js";
import {Looks} from "./looks.js";
import {Focus, ReadRegion} from "./focus.js";
import {FoundList, foundWords, historyWords} from "./found.js";
import {OwnPictures} from "./pictures.js";
import {Stage, tools} from "./scene.js";
import {button, choice, make, setText} from "./widgets.js";
import {drawBoxes, onTheme, round} from "./draw.js";
import {Features, Objectness} from "./maps.js";
import {Anchors, Proposals} from "./regions.js";
import {Candidates, Classes, Masks, Region} from "./heads.js";
import {Gradient, Training} from "./learning.js";
import {Minds} from "./minds.js";
import {Result} from "./panels.js";

const $ = id => document.getElementById(id);
const LATEST = 40; // times of which the median is shown

const FIRST = [ // on the stage
  {kind: "circle", x: 38, y: 36, half: 21, color: [196, 62, 46]},
  {kind: "triangle", x: 58, y: 68, half: 19, color: [46, 138, 88]},
  {kind: "square", x: 95, y: 54, half: 20, color: [38, 84, 164]},
];

class App {
  constructor(transport) {
    this.transport = transport;
    this.looks = new Looks(transport, {request: () => this.request(), paused: () => this.training.running,
      taken: before => this.#taken(before), timed: milliseconds => this.#time(milliseconds),
      rested: () => this.#rested(), complain: words => this.complain(words)});
    this.model = "finished";
    this.thresholds = {};       // of the sliders, by name
    this.times = [];            // milliseconds of the last looks
    this.outlined = true;       // whether the stage shows what is found
    this.picked = null;         // the picture that was chosen; its note stays while one moves its shapes
  }

  // ---- the page is put together ----

  async start() {
    const {answer} = await this.line.ask("hello", {ask: "hello"});
    if (answer.error) return this.complain(answer.error);
    this.hello = answer;
    this.focus = new Focus(answer.shown_score, () => this.#focusChanged());
    this.reading = new ReadRegion(this.looks, this.focus);
    this.found = new FoundList($("found"), this.focus);
    this.#addStage();
    this.#addChoices();
    this.#addPanels();
    $("foot").textContent = `npmaskrcnn ${answer.version}: Mask R-CNN in NumPy. Everything on this page is computed by `
      + "the very code that the lessons explain; the page only draws.";
    this.changed();
  }
  #addStage() {
    const scene = {...this.hello.default_scene, shapes: structuredClone(FIRST)};
    this.stage = new Stage({scene, mostShapes: this.hello.limits.shapes,
                            change: time => {
                              this.presets.select.value = ""; // it is no longer the picture that was chosen
                              this.picked = null;
                              this.changed(time);
                            }, hover: place => this.#hover(place),
                            tap: place => this.#tap(place)});
    this.stage.picture.onresize = () => this.drawStage();
    this.stage.overlay = picture => {
      if (!this.outlined || !this.look) return;
      const {width, class_names: names, detections} = this.look.answer;
      drawBoxes(picture, {width, names, detections}, this.shown, this.lit, {width: 2, halo: true});
    };
    const pictures = new OwnPictures({
      pythonReadsFiles: this.transport.readsFiles,
      ask: (parts, bytes) => this.line.ask("picture", {ask: "picture", ...parts}, bytes),
      take: ({picture, width, height}) => {
        this.complain("");
        this.picked = null;
        this.stage.set({...this.hello.default_scene, width, height, picture, noise: 0, shapes: []});
      },
      complain: words => this.complain(words)});
    $("stage-place").append(this.stage.element);
    $("tools").append(...tools(this.stage, this.hello.kinds, file => pictures.load(file)));
    pictures.listen(this.stage.element);
  }
  #addChoices() {
    const {models, presets} = this.hello;
    this.models = choice("Who looks", models.map(({name, label}) => [name, label]), name => this.setModel(name),
                         {id: "model"});
    this.presets = choice("Picture", [["", "Choose a picture …"], ...presets.map(({name, label}) => [name, label])],
      name => {
        const preset = presets.find(each => each.name === name);
        if (preset) this.stage.set(preset.scene);
        this.presets.select.value = name;
        this.picked = preset;
      }, {id: "preset"});
    const lot = button("Random picture", async () => {
      const outcome = await this.line.ask("draw", {ask: "draw", seed: Math.floor(Math.random() * 1e6)});
      if (!outcome || this.refused(outcome)) return;
      this.picked = null;
      this.stage.set(outcome.answer.scene);
    }, {id: "lot"});
    const outlines = button("Outlines", () => {
      this.outlined = !this.outlined;
      outlines.setAttribute("aria-pressed", String(this.outlined));
      this.drawStage();
    }, {"aria-pressed": "true", title: "Show on the stage what the network has found"});
    const keep = button("Keep the stage in sight", () => { // where page and stage share one column
      keep.setAttribute("aria-pressed", String(!$("stage-place").classList.toggle("loose")));
    }, {id: "keep", "aria-pressed": "true"});
    $("choices").append(this.presets.element, lot, this.models.element);
    $("tools").append(outlines, keep);
  }
  #addPanels() {
    this.panels = [
      new Features(this, "C", "The backbone", "A small ResNet looks at the picture at four sizes, from many small cells "
        + "to few large ones. Like colors in a map mean that the network sees something alike; two maps cannot be "
        + "compared.", {lesson: "04_field", attempt: "Show C2 by channel, and drag. What does a channel answer to?"}),
      new Features(this, "P", "The pyramid", "The top-down path hands down to the fine maps what the coarse ones have "
        + "understood. All levels now speak of the same channels, and small and large objects have each their level. "
        + "Point at an object: the solid frame is the cell where it began, the dashed one its region, as it was read.",
        {lesson: "05_pyramid", attempt: "Resize a shape. From which size on is it read from P3?", otherwise: {
          no_top_down: "This model has no top-down path: each level knows only what the backbone has seen at that size. "
            + "Point at a dot: the solid frame is the cell where it began, the dashed one its region, as it was "
            + "read."}}),
      new Objectness(this), new Anchors(this), new Proposals(this), new Region(this), new Classes(this),
      new Candidates(this), new Masks(this), new Result(this), new Minds(this), new Gradient(this),
      new Training(this)];
    const named = name => this.panels.find(panel => panel.name === name);
    this.anchors = named("anchors");
    this.training = named("training");
    this.panels.forEach((panel, i) => panel.heading.prepend(make("span", {class: "number"}, `${i + 1}`)));
    $("panels").append(...this.panels.map(panel => panel.element));
    document.addEventListener("keydown", event => {
      if (event.key === "Escape") this.panels.filter(panel => panel.large).forEach(panel => panel.setLarge(false));
    });
    onTheme(() => this.redraw());
  }

  // ---- what panels read ----

  get look() { return this.looks.last; }          // {answer, arrays} of the last look
  get base() { return this.looks.base; }          // its picture
  get line() { return this.looks.line; }
  get changedAt() { return this.looks.changedAt; }
  get atRest() { return this.looks.atRest; }
  get shown() { return this.focus.shown; }
  get shownScore() { return this.focus.shownScore; }
  get chosen() { return this.focus.chosen; }
  get lit() { return this.focus.lit; }
  get history() { return this.focus.history; }
  get subject() { return this.focus.subject; }
  get region() { return this.reading.current; }   // of the last look, or null
  get ownProposal() { return this.reading.proposal; } // whose region is read whatever is in focus, or null

  // ---- what panels, tools and tests do ----

  changed(time) { this.looks.changed(time); }
  ask(kind, request) { return this.looks.ask(kind, request); }
  received(outcome, asked) { return this.looks.received(outcome, asked); }
  refused(outcome) { return this.looks.refused(outcome); }
  under(place) { return this.focus.under(place); }
  pointAt(place) { this.focus.pointAt(place); }
  choose(row) { this.focus.choose(row); }
  wish() { return this.reading.wish; }
  complain(words) {
    $("error").hidden = !words;
    if (words) $("error").textContent = words;
  }
  setShownScore(value) {
    this.focus.show(value);
    this.looks.restSoon();
  }
  /** Read a proposal, whatever is in focus; with null that of the object in focus again. */
  readProposal(proposal) {
    this.reading.proposal = proposal;
    this.#askRegion();
  }
  setThreshold(name, value) {
    this.thresholds[name] = value;
    this.changed();
  }
  /** Put a slider where the model has its threshold, as long as nobody has moved it. */
  showThreshold(name, {value, set}) {
    const used = this.look.answer.thresholds[name];
    if (this.thresholds[name] === undefined && Math.abs(value - used) > 1e-6) set(used);
  }
  setModel(name) {
    if (name !== "training") this.training.stop();
    this.model = name;
    this.models.select.value = name;
    this.changed();
  }
  /** Look with the model in training from now on. */
  showTraining() {
    const {select} = this.models;
    if (![...select.options].some(({value}) => value === "training")) {
      select.append(make("option", {value: "training"}, "In training"));
    }
    this.model = select.value = "training";
    this.line.drop("look");
  }

  // ---- when something has come, or another one is in focus ----

  request() {
    return {ask: "look", scene: this.stage.scene, model: this.model, ...this.thresholds, roi: this.reading.wish};
  }
  /** Draw a look that has come, and ask what else belongs to it. */
  #taken(before) {
    const {look} = this, {model} = look.answer;
    if (before?.answer.model !== model) { // what is in training is what it began as
      for (const panel of this.panels) panel.describe(model === "training" ? this.training.began : model);
    }
    this.found.follow(this.focus.follow(look));
    this.reading.take();
    const further = this.panels.map(panel => panel.askFurther());
    if (!this.region) further.push(this.#askRegion()); // most often it has come along
    this.redraw();
    return Promise.all(further);
  }
  #time(milliseconds) {
    this.times.push(milliseconds);
    if (this.times.length > LATEST) this.times.shift();
    const median = this.times.toSorted((a, b) => a - b)[this.times.length >> 1];
    $("milliseconds").textContent = `median ${round(median)} ms`;
    $("milliseconds").title = `From your hand to the new pictures; the last ones came after ${round(milliseconds)} ms`;
  }
  #rested() {
    setText($("status"), this.#words());
    if (this.training.running) return; // the next step will come soon
    for (const panel of this.panels) panel.askAtRest();
  }
  #focusChanged() {
    if (!this.look) return;
    this.redraw();
    if (this.ownProposal === null) this.#askRegion();
  }
  async #askRegion() {
    if (!await this.reading.ask()) return;
    for (const panel of this.panels) if (panel.showsRegion) panel.draw();
  }
  /** The pointer is at this place of the stage, or has left it. */
  #hover(place) {
    // While a shape is dragged the pictures are a little behind the hand: the next look says who is under it.
    if (this.stage.grip) this.focus.place = this.anchors.place = place;
    else if (this.look) {
      this.focus.pointAt(place);
      this.anchors.set(place);
    }
  }

  /** A finger has touched this place of the stage and gone. */
  #tap(place) {
    const row = this.under(place);
    if (row !== null && row !== this.chosen) this.choose(row);
  }

  // ---- drawing ----

  redraw() {
    if (!this.look) return;
    this.drawStage();
    for (const panel of this.panels) panel.draw();
    this.found.draw();
    setText($("said"), this.#words());
    setText($("history"), historyWords(this.focus));
    setText($("note"), this.#note());
  }
  drawStage() {
    const {look, base, stage: {scene}} = this;
    // Into a scene of another size the last picture does not fit: its look will come.
    if (look?.answer.width === scene.width && look.answer.height === scene.height) {
      this.stage.draw(base, look.answer.unseen);
    }
  }
  /** What one has to know of this model to be fair to it, and what there is to be seen in this picture. */
  #note() {
    const {task, note = ""} = this.hello.models.find(({name}) => name === this.look.answer.model) ?? {};
    if (task === "rings" && !this.stage.scene.ring) {
      return "This model has never seen shapes, only dots in and out of a ring. Choose the picture with the ring.";
    }
    if (task === "shapes" && this.stage.scene.ring) {
      return "This model knows shapes, and has never seen a ring. The one without a top-down path knows rings.";
    }
    if (task === "rings") return note;
    return [this.picked?.note, note].filter(Boolean).join(" ");
  }
  /** What is found, in words. */
  #words() {
    const {class_names: names, detections} = this.look.answer;
    return foundWords(names, this.shown.map(row => detections[row]));
  }
}

// Under this name for whoever opens the browser's console, and for tests.
window.explorer = new App(chosenTransport(words => { $("said").textContent = words; }));
window.explorer.start();
