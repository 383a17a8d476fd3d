// Who is in focus: which detections are shown, which one is pointed at, and which one is chosen; and which region is
// read. Detections are named by their rows in the last look; an object is followed, though its row changes.

import {OBJECT, overlap} from "./draw.js";

const SAME_CLASS = .2, SAME = .3; // an overlap that a common class is worth; what makes two boxes the same object

export class Focus {
  look = null;    // {answer, arrays} of the last look
  pointed = null; // the row that is pointed at
  chosen = null;  // the row that stays lit when nobody points
  place = null;   // where in the scene somebody points; null also if somebody points at a name

  /** changed() is called when another one is in focus, or others are shown. */
  constructor(shownScore, changed) { Object.assign(this, {shownScore, changed}); }

  /** The rows that are sure enough to be shown, the best first. */
  get shown() {
    const detections = this.look?.answer.detections ?? [];
    return [...detections.keys()].filter(row => detections[row].score >= this.shownScore);
  }
  /** The row whose history is lit, or null. */
  get lit() { return this.pointed ?? this.chosen; }
  get history() { return this.look?.answer.detections[this.lit]?.history ?? null; }
  /** Whose region and masks are shown: the one that is lit, or the best. */
  get subject() { return this.lit ?? this.shown[0] ?? null; }

  /** Whose mask, or else whose box, is at a place of the scene. */
  under(place) {
    if (!place || !this.look) return null;
    const {answer: {width, height, detections}, arrays: {masks}} = this.look;
    const [x, y] = place, at = Math.floor(y) * width + Math.floor(x);
    if (x < 0 || x >= width || y < 0 || y >= height) return null; // who drags may be outside
    const inMask = row => masks && masks.data[row * width * height + at] >= OBJECT;
    const inBox = row => {
      const [x1, y1, x2, y2] = detections[row].box;
      return x >= x1 && x < x2 && y >= y1 && y < y2;
    };
    const {shown} = this;
    return shown.find(inMask) ?? shown.find(inBox) ?? null;
  }

  /** Point at a place of the scene, or, with null, at nothing. */
  pointAt(place) { this.point(this.under(place), place); }
  /** Point at an object: because it is at a place, or by its name. */
  point(row, place = null) {
    this.place = place;
    if (row === this.pointed) return;
    this.pointed = row;
    this.changed();
  }
  /** Choose an object, or, if it was the chosen one, none. */
  choose(row) {
    this.chosen = row === this.chosen ? null : row;
    this.pointed = this.place = null;
    this.changed();
  }
  /** Show detections from this score on. */
  show(score) {
    this.shownScore = score;
    const {shown} = this;
    this.#keep(row => shown.includes(row) ? row : null);
    this.changed();
  }
  /** Take a look that has come. Who points at a place points at whatever is there now; who points at a name, or has
   *  chosen, means an object, which is followed. Returns the new row of a row that was shown, or null. */
  follow(look) {
    const before = this.look, old = this.shown;
    this.look = look;
    const rows = followed(before?.answer.detections, old, look.answer.detections, this.shown);
    const after = row => rows.get(row) ?? null;
    this.#keep(after);
    return after;
  }
  #keep(after) {
    this.pointed = this.place ? this.under(this.place) : after(this.pointed);
    this.chosen = after(this.chosen);
  }
}

/** Which detection of a look is which of the look before, of the rows shown: a Map from the old row to the new one.
 *  Those that overlap most belong together, rather if they are of one class. */
function followed(before, oldRows, after, newRows) {
  const near = (a, b) => overlap(a.box, b.box) + (a.label === b.label ? SAME_CLASS : 0);
  const pairs = oldRows.flatMap(from => newRows.map(to => ({from, to, near: near(before[from], after[to])})))
    .filter(pair => pair.near > SAME).sort((a, b) => b.near - a.near);
  const map = new Map(), taken = new Set();
  for (const {from, to} of pairs) {
    if (map.has(from) || taken.has(to)) continue;
    map.set(from, to);
    taken.add(to);
  }
  return map;
}

/** The region that is shown as the heads read it: that of the subject, or a proposal of one's own choice. */
export class ReadRegion {
  proposal = null; // the row of one's own choice
  come = null;     // {answer, arrays, lookNumber}: the last one that has come, and the look to which it belongs

  constructor(looks, focus) { Object.assign(this, {looks, focus}); }

  /** The region of the last look, or null if it has not come yet. */
  get current() { return this.come?.lookNumber === this.looks.last?.answer.look ? this.come : null; }
  /** Which region is to be shown of the last look, as a question says it. */
  get wanted() {
    const {proposal, focus: {subject}} = this;
    if (proposal !== null) return {proposal: Math.min(proposal, this.looks.last.answer.counts.proposals - 1)};
    return subject !== null ? {detection: subject} : {proposal: 0};
  }
  /** Which one will most likely be wanted of the next look, so that it comes along with it. */
  get wish() {
    const {proposal, looks: {last}, focus: {lit, subject}} = this;
    if (proposal !== null) return {proposal};
    if (lit !== null) return {near: last.answer.detections[lit].box};
    return last && subject === null ? {proposal: 0} : "best";
  }
  /** Take the region that has come along with the last look, unless another one is wanted. */
  take() {
    const {answer: {roi, look}, arrays: all} = this.looks.last, [kind, row] = Object.entries(this.wanted)[0];
    if (!roi || roi[kind] !== row || kind === "proposal" && roi.detection !== undefined) return;
    const arrays = Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith("roi."))
      .map(([name, array]) => [name.slice(4), array]));
    this.come = {answer: roi, arrays, lookNumber: look};
  }
  /** Ask for the region that is wanted; returns whether there is something new to draw. */
  async ask() {
    const {counts, look} = this.looks.last.answer;
    if (!counts.proposals) {
      this.come = null;
      return true;
    }
    const outcome = await this.looks.ask("roi", {ask: "roi", ...this.wanted, look});
    if (outcome) this.come = {...outcome, lookNumber: look};
    return Boolean(outcome);
  }
}
