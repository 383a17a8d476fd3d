// A panel: a card with a title, a caption that says what one sees, and something that draws itself from the last look.

import {button, make, setText, slider} from "./widgets.js";
import {Picture, classColor, drawBoxes, putMasks, round} from "./draw.js";

export class Panel {
  showsRegion = false; // whether it is to be drawn again when a region has come
  /** app holds the last look, who is pointed at, and asks; panels read from it and call it (explorer.js says what),
   *  and write nothing into it. The caption says what one sees (of some
   *  models another one is true: `otherwise`), the attempt what one could try, the lesson where it is explained. */
  constructor(app, name, title, caption, {attempt = "", lesson = "", otherwise = {}} = {}) {
    Object.assign(this, {app, name, title, plain: caption, otherwise});
    this.about = make("span", {}, caption);
    this.caption = make("div", {class: "caption"}, make("p", {}, this.about, ...lessonLink(lesson)),
      attempt && make("p", {}, make("b", {}, "Try: "), attempt));
    this.facts = make("p", {class: "facts"});
    this.enlarge = button("⤢", () => this.setLarge(!this.large), {class: "enlarge", "aria-pressed": "false",
      "aria-label": `Enlarge: ${title}`, title: "Enlarge"});
    this.heading = make("h2", {id: `${name}-title`}, title);
    this.element = make("article", {class: "panel", id: name, "aria-labelledby": `${name}-title`},
      make("header", {}, this.heading, this.enlarge));
  }
  get large() { return this.element.classList.contains("large"); }
  setLarge(large) {
    this.element.classList.toggle("large", large);
    this.enlarge.setAttribute("aria-pressed", String(large));
    this.draw();
  }
  /** Say what is true of a model. */
  describe(model) { setText(this.about, this.otherwise[model] ?? this.plain); }
  fill(...children) { this.element.append(...children.flat()); }
  /** Of a picture of one's own nobody has told the network what it shows. */
  ofPicture() {
    return this.app.stage.scene.picture === null ? "" : " What your picture shows counts as background.";
  }
  say(words) { setText(this.facts, words); }
  /** A canvas in the scene's coordinates that is drawn again when its size changes. */
  newPicture(label, attributes) {
    const picture = new Picture(label, attributes);
    picture.onresize = () => this.draw();
    return picture;
  }
  /** Draw the last look, if there is one. */
  draw() {}
  /** After each look: ask what else the panel shows of it; may return a promise. */
  askFurther() {}
  /** When the hand rests: ask what takes longer. */
  askAtRest() {}
}

/** " Lesson 05.", in the book with a link; it is not broken in two. */
function lessonLink(lesson) {
  if (!lesson) return [];
  const words = `Lesson\u00a0${lesson.slice(0, 2)}`, inBook = document.documentElement.dataset.worker;
  return [" ", inBook ? make("a", {href: `../notebooks/${lesson}.html`}, words) : words, "."];
}

/** A panel that takes longer than a look: it is asked for when the hand rests. What it shows of a picture before the
 *  last one is dimmed, and not drawn again. */
export class Slow extends Panel {
  outcome = null;    // {answer, arrays}
  lookNumber = null; // of the look to which it belongs
  get old() { return Boolean(this.outcome) && this.lookNumber !== this.app.look?.answer.look; }
  askAtRest() { this.ask(); }
  /** Take what has come for a look, unless nothing has. */
  take(outcome, lookNumber) {
    if (!outcome) return;
    Object.assign(this, {outcome, lookNumber});
    this.draw();
  }
  draw() {
    this.element.classList.toggle("old", this.old);
    if (!this.old) this.drawNew();
  }
}

/** Draw detections over a picture, the best in front: masks, boxes, names. */
export function drawFound(picture, scratch, found, rows, lit = null) {
  const {width, height, names, detections, masks} = found, behind = rows.toReversed();
  const colors = behind.map(row => classColor(names, detections[row].label));
  if (masks) picture.over(putMasks(scratch, masks.data, width, height, behind, colors));
  drawBoxes(picture, found, rows, lit);
}

/** The last stage: masks pasted into the picture. */
export class Result extends Panel {
  constructor(app) {
    super(app, "result", "The result", "Each mask is pasted into its box; colored is every pixel with a probability of "
      + "one half or more. Point at an object, and its history lights up in all panels.", {lesson: "11_mask_head",
      attempt: "Lower the score to 0.05. What else was nearly found?"});
    this.picture = this.newPicture("The detections with their masks");
    this.masks = make("canvas");
    this.score = slider("Show from score", {min: 0, max: 1, step: .01, value: app.shownScore,
                                            oninput: value => app.setShownScore(value)});
    this.score.input.id = "shown-score";
    this.fill(this.picture.canvas, this.score.element, this.facts, this.caption);
    const {canvas} = this.picture;
    canvas.addEventListener("pointermove", event => app.pointAt(this.#place(event)));
    canvas.addEventListener("pointerleave", () => app.pointAt(null));
    canvas.addEventListener("click", event => app.choose(app.under(this.#place(event))));
  }
  #place(event) {
    const {look} = this.app;
    return look && this.picture.place(event, look.answer.width, look.answer.height);
  }
  draw() {
    const {look, shown, lit, base} = this.app;
    if (!look) return;
    const {width, height, detections, class_names: names} = look.answer, {masks} = look.arrays;
    const picture = this.picture.begin(width, height, base, .35);
    drawFound(picture, this.masks, {width, height, names, detections, masks}, shown, lit);
    const least = round(this.app.shownScore, 2);
    this.say(`${shown.length} of ${detections.length} detections have a score of ${least} or more.`
      + (masks ? "" : " This model has no masks."));
  }
}
