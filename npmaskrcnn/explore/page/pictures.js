// Pictures of one's own: a file that is dropped on the stage, or chosen. Where Python cannot read it the browser does.

import {make} from "./widgets.js";

const SIDE = 128, LEAST = 16; // pixels: the longer side; the shorter one at least

export class OwnPictures {
  /** ask(parts, bytes) sends a picture to Python; take(answer) lays it on the stage, complain(words) says why not. */
  constructor({pythonReadsFiles, ask, take, complain}) { Object.assign(this, {pythonReadsFiles, ask, take, complain}); }

  async load(file) {
    this.newest = file; // who drops two wants the second, whichever is read first
    let outcome = this.pythonReadsFiles ? await this.ask({}, await file.arrayBuffer()) : null;
    if (file === this.newest && (!outcome || outcome.answer.error)) { // what Pillow does not know, the browser may
      const raw = await decoded(file).catch(() => null);
      if (raw && file === this.newest) outcome = await this.ask(raw.sides, raw.data);
    }
    if (file !== this.newest) return;
    if (outcome && !outcome.answer.error) this.take(outcome.answer);
    else this.complain(outcome?.answer.error ?? "This picture cannot be read.");
  }
  /** Take files that are dropped on the page; meanwhile the element shows where they will go. */
  listen(element) {
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
      if (file) this.load(file);
    });
  }
}

/** The bytes of a picture as the browser reads it: red, green, blue. */
async function decoded(file) {
  const bitmap = await createImageBitmap(file), ratio = SIDE / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(Math.round(side * ratio), LEAST));
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
