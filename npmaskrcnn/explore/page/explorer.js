// The explorer: asks Python for a look at the scene, and lets everything on the page draw what comes back. The page
// computes nothing of the model.

import {Line, chosenTransport} from "./transport.js";
import {Stage, tools} from "./scene.js";
import {OBJECT, button, choice, classColor, drawBoxes, make, onTheme, overlap, putColors, round, setText}
  from "./draw.js";
import {Features, Objectness} from "./maps.js";
import {shapeNames} from "./marks.js";
import {Anchors, Proposals} from "./regions.js";
import {Candidates, Classes, Masks, Region} from "./heads.js";
import {Gradient, Training} from "./learning.js";
import {Minds} from "./minds.js";
import {Result, foundWords} from "./panels.js";

const $ = id => document.getElementById(id);
const REST = 400; // milliseconds without a change, after which the page says what is found
const PICTURE_SIDE = 128;
const READERS = new Set(["region", "classes", "masks"]); // panels that show one region
const LATEST = 40; // times of which the median is shown

const FIRST = [ // on the stage
  {kind: "circle", x: 38, y: 36, half: 21, color: [196, 62, 46]},
  {kind: "triangle", x: 58, y: 68, half: 19, color: [46, 138, 88]},
  {kind: "square", x: 95, y: 54, half: 20, color: [38, 84, 164]},
];

class App {
  constructor(transport) {
    this.transport = transport;
    this.line = new Line(transport);
    this.look = null;           // {answer, arrays} of the last look
    this.base = make("canvas"); // its picture, a pixel for a pixel
    this.pointed = this.chosen = null;  // rows of detections
    this.place = null;          // where in the scene somebody points; null also if somebody points at a name
    this.roiChoice = this.regions = null;   // a proposal of one's own choice; the region that has come
    this.listed = [];           // rows of the detections in the list
    this.thresholds = {};       // of the sliders, by name
    this.model = "finished";
    this.times = [];
    this.panels = [];
    this.followers = [];        // called after each look with the look
    this.changedAt = null;      // time of the newest event that no look has answered yet
  }

  async start() {
    const {answer} = await this.line.ask("hello", {ask: "hello"});
    if (answer.error) return this.complain(answer.error);
    this.hello = answer;
    this.shownScore = answer.shown_score;
    const scene = {...answer.default_scene, shapes: structuredClone(FIRST)};
    this.stage = new Stage({scene, mostShapes: answer.limits.shapes,
                            change: time => {
                              this.presets.select.value = ""; // it is no longer the picture that was chosen
                              this.changed(time);
                            }, hover: place => this.hover(place)});
    this.stage.picture.onresize = () => this.drawStage();
    this.stage.overlay = picture => {
      if (!this.outlined || !this.look) return;
      const {width, class_names: names, detections} = this.look.answer;
      drawBoxes(picture, {width, names, detections}, this.shown, this.lit, {width: 2, halo: true});
    };
    this.outlined = true;
    $("stage-place").append(this.stage.element);
    $("tools").append(...tools(this.stage, answer.kinds, file => this.loadPicture(file)));
    $("found").tabIndex = -1; // for the focus of a name that is gone
    this.#choices();
    this.#drop();
    this.addPanels();
    $("foot").textContent = `npmaskrcnn ${answer.version}: Mask R-CNN in NumPy. Everything on this page is computed by `
      + "the very code that the lessons explain; the page only draws.";
    this.changed();
  }

  addPanels() {
    this.followers.push(() => this.region || this.askRegion()); // most often it has come along
    this.panels = [
      new Features(this, "C", "The body", "A small ResNet looks at the picture at four sizes, from many small cells to "
        + "few large ones. Like colors in a map mean that the network sees something alike; two maps cannot be "
        + "compared.", {lesson: "04_field", attempt: "Show C2 by channel, and drag. What does a channel answer to?"}),
      new Features(this, "P", "The pyramid", "The top-down path hands down to the fine maps what the coarse ones have "
        + "understood. All levels now speak of the same channels, and small and large objects have each their level. "
        + "Point at an object: the solid frame is the cell where it began, the dashed one its region, as it was read.",
        {lesson: "05_pyramid", attempt: "Resize a shape. From which size on is it read from P3?", otherwise: {
          no_top_down: "This model has no top-down path: each level knows only what the body has seen at that size. "
            + "Point at a dot: the solid frame is the cell where it began, the dashed one its region, as it was "
            + "read."}}),
      new Objectness(this), new Anchors(this), new Proposals(this), new Region(this), new Classes(this),
      new Candidates(this), new Masks(this), new Result(this), new Minds(this), new Gradient(this),
      new Training(this)];
    document.addEventListener("keydown", event => {
      if (event.key === "Escape") this.panels.filter(panel => panel.large).forEach(panel => panel.setLarge(false));
    });
    this.panels.forEach((panel, i) => panel.heading.prepend(make("span", {class: "number"}, `${i + 1}`)));
    $("panels").append(...this.panels.map(panel => panel.element));
    const named = name => this.panels.find(panel => panel.name === name);
    this.anchors = named("anchors");
    onTheme(() => this.redraw());
    this.onrest = () => {
      if (this.training.running) return; // the next step will come soon
      named("gradient").ask();
      named("minds").ask();
    };
  }

  #choices() {
    const {models, presets} = this.hello;
    this.models = choice("Who looks", models.map(({name, label}) => [name, label]), name => this.setModel(name),
                         {id: "model"});
    this.presets = choice("Picture", [["", "Choose a picture …"], ...presets.map(({name, label}) => [name, label])],
      name => {
        const preset = presets.find(each => each.name === name);
        if (preset) this.stage.set(preset.scene);
        this.presets.select.value = name;
        this.picked = preset; // its note stays while one moves its shapes
      }, {id: "preset"});
    const lot = button("Drawn by lot", async () => {
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

  // ---- looking ----

  request() {
    return {ask: "look", scene: this.stage.scene, model: this.model, ...this.thresholds, roi: this.wish()};
  }
  /** The region that will most likely be shown after the next look, so that it comes along with it. */
  wish() {
    const {look, lit, subject} = this;
    if (this.roiChoice !== null) return {proposal: this.roiChoice};
    if (lit !== null) return {near: look.answer.detections[lit].box};
    return look && subject === null ? {proposal: 0} : "best";
  }
  changed(time = performance.now()) {
    this.changedAt = time;
    document.body.dataset.rest = "no";
    clearTimeout(this.resting);
    if (this.training?.running) return; // the next step looks at the scene, too
    let asked = null;
    this.line.ask("look", () => {
      asked = this.changedAt;
      return this.request();
    }).then(outcome => outcome && this.received(outcome, asked));
  }
  /** Take a look that has come: panels first of all. */
  async received(outcome, asked = null) {
    if (this.refused(outcome)) return;
    const before = this.look;
    this.look = outcome;
    this.answeredAt = asked ?? this.changedAt;
    putColors(this.base, outcome.arrays.image);
    if (before?.answer.model !== outcome.answer.model) this.#describe(outcome.answer.model);
    this.#follow(before);
    this.#takeRegion(outcome);
    const further = Promise.all(this.followers.map(follow => follow(outcome)));
    this.redraw();
    await further;
    if (before && asked !== null && outcome.answer.model !== "training") this.#time(performance.now() - asked);
    document.body.dataset.look = outcome.answer.look;
    this.#restSoon();
  }
  /** Say in the panels what is true of a model; what is in training is what it began as. */
  #describe(model) {
    const kind = model === "training" ? this.training.began : model;
    for (const panel of this.panels) panel.describe(kind);
  }
  /** Objects are followed from look to look: the one that is chosen, or whose name is pointed at, and all in the list.
   *  Who points at a place points at whatever is there. */
  #follow(before) {
    const after = followed(before?.answer.detections, this.listed, this.look.answer.detections, this.shown);
    this.pointed = this.place ? this.under(this.place) : after.get(this.pointed) ?? null;
    this.chosen = after.get(this.chosen) ?? null;
    this.listed = this.listed.map(row => after.get(row) ?? null);
  }
  #time(milliseconds) {
    this.times.push(milliseconds);
    if (this.times.length > LATEST) this.times.shift();
    const median = this.times.toSorted((a, b) => a - b)[this.times.length >> 1];
    $("milliseconds").textContent = `median ${round(median)} ms`;
    $("milliseconds").title = `From your hand to the new pictures; the last ones came after ${round(milliseconds)} ms`;
  }
  /** What is found, in words. */
  #words() {
    const {class_names: names, detections} = this.look.answer;
    return foundWords(names, this.shown.map(row => detections[row]));
  }
  /** Rest in a moment, if nothing changes before, and nothing has changed that no look has answered yet. */
  #restSoon() {
    clearTimeout(this.resting);
    if (this.changedAt === this.answeredAt) this.resting = setTimeout(() => this.#rest(), REST);
  }
  #rest() {
    const words = this.#words();
    setText($("status"), words);
    document.body.dataset.rest = "yes";
    this.onrest?.();
  }
  /** Take the region that has come along with a look, unless it is not the one to be shown. */
  #takeRegion({answer: {roi, look}, arrays: all}) {
    const [kind, row] = Object.entries(this.which())[0];
    if (!roi || roi[kind] !== row || kind === "proposal" && roi.detection !== undefined) return;
    const arrays = Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith("roi."))
      .map(([name, array]) => [name.slice(4), array]));
    this.regions = {answer: roi, arrays, of: look};
  }
  /** The region to be shown, as a question says it. */
  which() {
    const {subject, roiChoice} = this;
    if (roiChoice !== null) return {proposal: Math.min(roiChoice, this.look.answer.counts.proposals - 1)};
    return subject !== null ? {detection: subject} : {proposal: 0};
  }
  /** Ask how the region that is shown is read; panels draw it when it comes. */
  async askRegion() {
    const {counts, look: number} = this.look.answer;
    if (!counts.proposals) {
      this.regions = null;
      return this.redraw();
    }
    const outcome = await this.ask("roi", {ask: "roi", ...this.which(), look: number});
    if (!outcome) return;
    this.regions = {...outcome, of: number};
    for (const panel of this.panels) if (READERS.has(panel.name)) panel.draw();
  }
  /** The region of this look, or null. */
  get region() { return this.regions?.of === this.look?.answer.look ? this.regions : null; }
  /** Ask what belongs to a look; null if it cannot be had. */
  async ask(kind, request) {
    const outcome = await this.line.ask(kind, request);
    if (!outcome || this.refused(outcome)) return null;
    if (!outcome.answer.stale) return outcome;
    if (request.look === this.look.answer.look) this.changed(); // another window has looked since: look again
    return null;
  }
  refused({answer}) {
    this.complain(answer.error);
    return Boolean(answer.error);
  }
  complain(words) {
    $("error").hidden = !words;
    if (words) $("error").textContent = words;
  }

  // ---- who is shown, and who is lit ----

  get atRest() { return document.body.dataset.rest === "yes"; }
  get shown() {
    if (!this.look) return [];
    return this.look.answer.detections.map((_, row) => row)
      .filter(row => this.look.answer.detections[row].score >= this.shownScore);
  }
  get lit() { return this.pointed ?? this.chosen; }
  get history() { return this.look?.answer.detections[this.lit]?.history ?? null; }
  /** Whose region and masks are shown: the one that is lit, or the best. */
  get subject() { return this.lit ?? this.shown[0] ?? null; }
  /** Whose mask, or else whose box, is at a place of the scene. */
  under(place) {
    if (!place || !this.look) return null;
    const {shown} = this, {width, height, detections} = this.look.answer, masks = this.look.arrays.masks?.data;
    const [x, y] = place, at = Math.floor(y) * width + Math.floor(x);
    if (x < 0 || x >= width || y < 0 || y >= height) return null; // who drags may be outside
    const inMask = row => masks && masks[row * width * height + at] >= OBJECT;
    const inBox = row => {
      const [x1, y1, x2, y2] = detections[row].box;
      return x >= x1 && x < x2 && y >= y1 && y < y2;
    };
    return shown.find(inMask) ?? shown.find(inBox) ?? null;
  }
  /** The pointer is at this place of the stage, or has left it. */
  hover(place) {
    // While a shape is dragged the pictures are a little behind the hand: the next look says who is under it.
    if (this.stage.grip) this.place = this.anchors.place = place;
    else if (this.look) {
      this.pointAt(place);
      this.anchors.set(place);
    }
  }
  /** Point at a place of the scene, or no longer. */
  pointAt(place) { this.point(this.under(place), place); }
  /** Point at an object: because it is at a place, or by its name. */
  point(row, place = null) {
    this.place = place;
    if (row === this.pointed) return;
    this.pointed = row;
    this.redraw();
    if (this.roiChoice === null) this.askRegion();
  }
  choose(row) {
    this.chosen = row === this.chosen ? null : row;
    this.pointed = this.place = null;
    this.redraw();
    if (this.roiChoice === null) this.askRegion();
  }
  setShownScore(value) {
    this.shownScore = value;
    if (!this.look) return;
    const {shown} = this, ifShown = row => shown.includes(row) ? row : null;
    this.pointed = this.place ? this.under(this.place) : ifShown(this.pointed);
    this.chosen = ifShown(this.chosen);
    this.redraw();
    if (this.roiChoice === null) this.askRegion();
    this.#restSoon();
  }
  /** Put a slider where the model has its threshold, as long as nobody has moved it. */
  showThreshold(name, {value, set}) {
    const used = this.look.answer.thresholds[name];
    if (this.thresholds[name] === undefined && Math.abs(value - used) > 1e-6) set(used);
  }
  setThreshold(name, value) {
    this.thresholds[name] = value;
    this.changed();
  }

  // ---- drawing ----

  redraw() {
    if (!this.look) return;
    this.drawStage();
    for (const panel of this.panels) panel.draw();
    this.#list();
  }
  drawStage() {
    const {look, base, stage: {scene}} = this;
    // Into a scene of another size the last picture does not fit: its look will come.
    if (look?.answer.width === scene.width && look.answer.height === scene.height) {
      this.stage.draw(base, look.answer.unseen);
    }
  }
  /** List what is found. A name stays in its place, with pointer and focus, as long as its object is there. */
  #list() {
    const {look, shown, lit} = this, {detections, class_names: names} = look.answer, list = $("found");
    for (const item of this.listed.flatMap((row, i) => shown.includes(row) ? [] : [list.children[i]])) {
      delete item.firstChild.dataset.row;
      if (item.contains(document.activeElement)) list.focus(); // it is gone, and focus should not go to the page's top
      item.remove();
    }
    const stay = this.listed.filter(row => shown.includes(row));
    this.listed = [...stay, ...shown.filter(row => !stay.includes(row))];
    while (list.children.length < shown.length) list.append(make("li", {}, this.#chip()));
    this.listed.forEach((row, i) => {
      const chip = list.children[i].firstChild, {label, score} = detections[row];
      chip.dataset.row = row;
      chip.firstChild.style.background = classColor(names, label);
      setText(chip.lastChild, `${names[label]} ${round(100 * score)} %`);
      chip.classList.toggle("lit", row === lit);
      chip.setAttribute("aria-pressed", String(row === this.chosen));
    });
    setText($("said"), this.#words());
    setText($("history"), this.#story());
    setText($("note"), this.#note());
  }
  #chip() {
    const point = () => this.point(+chip.dataset.row);
    const leave = () => { if (this.pointed === +chip.dataset.row && !this.place) this.point(null); };
    const chip = make("button", {type: "button", class: "chip", onclick: () => this.choose(+chip.dataset.row),
      onpointerenter: point, onpointerleave: leave, onfocus: () => chip.matches(":focus-visible") && point(),
      onblur: leave}, make("i", {"aria-hidden": "true"}), make("span"));
    return chip;
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
  #story() {
    const {history, look, lit} = this;
    if (!history) {
      return this.shown.length ? "Point at one of them, or choose it, and its history lights up in the panels." : "";
    }
    const {levels, class_names: names, detections, anchors_per_cell: perCell} = look.answer, [y, x] = history.cell;
    const form = shapeNames(look.arrays, perCell)[history.anchor_of_cell];
    return `This ${names[detections[lit].label]} began as anchor ${history.anchor}, the ${form} one of row ${y}, `
      + `column ${x} on ${levels[history.level].name}, became proposal ${history.roi}, and was read from `
      + `${levels[history.roi_level].name}.`;
  }

  // ---- pictures of one's own ----

  async loadPicture(file) {
    this.newest = file; // who drops two wants the second, whichever is read first
    let outcome = null;
    if (this.transport.readsFiles) {
      outcome = await this.line.ask("picture", {ask: "picture"}, await file.arrayBuffer());
    }
    if (file === this.newest && (!outcome || outcome.answer.error)) { // what Pillow does not know, the browser may
      const raw = await decoded(file).catch(() => null);
      if (raw && file === this.newest) {
        outcome = await this.line.ask("picture", {ask: "picture", ...raw.sides}, raw.data);
      }
    }
    if (file !== this.newest) return;
    if (!outcome) return this.complain("This picture cannot be read.");
    if (this.refused(outcome)) return;
    const {picture, width, height} = outcome.answer;
    this.picked = null;
    this.stage.set({...this.hello.default_scene, width, height, picture, noise: 0, shapes: []});
  }
  #drop() {
    const {element} = this.stage;
    const over = on => event => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      element.classList.toggle("drop", on);
    };
    document.addEventListener("dragover", over(true));
    document.addEventListener("dragleave", over(false));
    document.addEventListener("drop", event => {
      over(false)(event);
      const file = event.dataTransfer.files[0];
      if (file) this.loadPicture(file);
    });
  }
}

/** Which detection of a look is which of the look before, by rows: a Map from the old row to the new one. Those that
 *  overlap most belong together, rather if they are of one class. */
function followed(before, oldRows, after, rows) {
  const near = (a, b) => overlap(a.box, b.box) + (a.label === b.label ? .2 : 0);
  const pairs = oldRows.flatMap(from => rows.map(to => ({from, to, near: near(before[from], after[to])})))
    .filter(pair => pair.near > .3).sort((a, b) => b.near - a.near);
  const map = new Map(), taken = new Set();
  for (const {from, to} of pairs) {
    if (map.has(from) || taken.has(to)) continue;
    map.set(from, to);
    taken.add(to);
  }
  return map;
}

/** The bytes of a picture as the browser reads it: red, green, blue, the longer side of 128 pixels. */
async function decoded(file) {
  const bitmap = await createImageBitmap(file), ratio = PICTURE_SIDE / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(Math.round(side * ratio), 16));
  const context = make("canvas", {width, height}).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const {data} = context.getImageData(0, 0, width, height);
  const bytes = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) bytes.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
  return {sides: {width, height}, data: bytes.buffer};
}

// Under this name for whoever opens the browser's console, and for tests.
window.explorer = new App(chosenTransport(words => { $("said").textContent = words; }));
window.explorer.start();
