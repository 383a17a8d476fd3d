// The asking: when something has changed, Python looks at the scene; when nothing changes any more, the page is at
// rest.

import {Line} from "./transport.js";
import {make} from "./widgets.js";
import {putColors} from "./draw.js";

const REST = 400; // milliseconds without a change

export class Looks {
  last = null;         // {answer, arrays} of the last look
  base = make("canvas"); // its picture, a pixel for a pixel
  changedAt = null;    // time of the newest event
  answeredAt = null;   // time of the newest event that the last look knows of

  /** request() says what to ask, when its turn has come. paused() says whether somebody else looks, a training. When a
   *  look has come, taken(before) draws it and returns a promise of what else belongs to it; then timed(milliseconds)
   *  hears how long it took. At rest rested() is called. complain(words) shows what went wrong, or that nothing has. */
  constructor(transport, {request, paused, taken, timed, rested, complain}) {
    this.line = new Line(transport);
    Object.assign(this, {request, paused, taken, timed, rested, complain});
  }

  /** Something has changed, by an event of this time: look. */
  changed(time = performance.now()) {
    this.changedAt = time;
    document.body.dataset.rest = "no";
    clearTimeout(this.resting);
    if (this.paused()) return;
    let asked = null;
    this.line.ask("look", () => {
      asked = this.changedAt;
      return this.request();
    }).then(outcome => outcome && this.received(outcome, asked));
  }
  /** Take a look that has come, and knows of all events until `asked`. */
  async received(outcome, asked) {
    if (this.refused(outcome)) return;
    const before = this.last;
    this.last = outcome;
    this.answeredAt = asked;
    putColors(this.base, outcome.arrays.image);
    await this.taken(before);
    if (before && outcome.answer.model !== "training") this.timed(performance.now() - asked);
    document.body.dataset.look = outcome.answer.look;
    this.restSoon();
  }
  /** Ask what belongs to the last look; null if it cannot be had. */
  async ask(kind, request) {
    const outcome = await this.line.ask(kind, request);
    if (!outcome || this.refused(outcome)) return null;
    if (!outcome.answer.stale) return outcome;
    if (request.look === this.last.answer.look) this.changed(); // another window has looked since: look again
    return null;
  }
  refused({answer}) {
    this.complain(answer.error);
    return Boolean(answer.error);
  }

  get atRest() { return document.body.dataset.rest === "yes"; }
  /** Rest in a moment, if nothing changes before, and the last look knows of all that has changed. */
  restSoon() {
    clearTimeout(this.resting);
    if (this.changedAt !== this.answeredAt) return;
    this.resting = setTimeout(() => {
      document.body.dataset.rest = "yes";
      this.rested();
    }, REST);
  }
}
