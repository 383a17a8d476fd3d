// The stage: the picture as Python has painted it, and over it the handles of its shapes. Each shape is a button that
// can be reached by Tab and moved by the arrow keys; what the pointer takes hold of is found by the shape itself, since
// the frames of two shapes overlap where the shapes do not.

import {button, make, setText} from "./widgets.js";
import {CLASS_COLORS, Picture, clamp, fromHex, hex} from "./draw.js";
import {ARROWS, frame} from "./marks.js";

const PALETTE = [[196, 62, 46], [38, 84, 164], [46, 138, 88], [226, 186, 52], [122, 79, 191], [60, 60, 66]];
const SMALLEST = 5, LARGEST = 80; // half sizes; of the smallest triangle, too, enough is seen to be painted (scene.py)
const TREMBLE = 2; // pixels of the scene: a finger that moves less has tapped
const REACH = {mouse: 14, finger: 22}; // points from a handle, and, for a finger, from the center of a small shape

/** Whether a point is on a shape. */
function hits({kind, x, y, half}, px, py) {
  const dx = px - x, dy = py - y;
  if (kind === "circle") return dx * dx + dy * dy <= half * half;
  if (Math.abs(dy) > half || Math.abs(dx) > half) return false;
  return kind === "square" || Math.abs(dx) <= (dy + half) / 2;
}

export class Stage {
  /** change(time) is called when the scene has changed, with the time of the event that did it; hover(place) when the
   *  pointer has moved, with a place or null; tap(place) when a finger has touched a place and gone. */
  constructor({scene, mostShapes, change, hover, tap}) {
    Object.assign(this, {scene, mostShapes, change, hover, tap});
    this.chosen = null;
    this.grip = null; // what a pointer holds: {pointer, shape, corner, dx, dy}
    this.added = 0;
    this.overlay = null; // draws the model's findings over the picture
    this.picture = new Picture("The picture that the network sees", {id: "picture"});
    this.handle = make("div", {class: "handle", "aria-hidden": "true"});
    this.buttons = make("div", {class: "shapes", role: "group", tabindex: -1, "aria-label": "Shapes on the stage"});
    this.element = make("div", {class: "stage", id: "stage"}, this.picture.canvas, this.buttons,
      make("p", {id: "keys-of-a-shape", hidden: true}, "Arrow keys move it by a pixel, with Shift by eight; plus and "
        + "minus resize it, Delete removes it."));
    this.#listen();
    this.#build();
  }

  // ---- what it holds ----

  set(scene, time) {
    this.scene = structuredClone(scene);
    this.chosen = this.grip = null;
    this.#build();
    this.change(time ?? performance.now());
  }
  get shape() { return this.scene.shapes[this.chosen] ?? null; }

  add(kind) {
    const {scene} = this;
    if (scene.shapes.length >= this.mostShapes) return;
    const far = PALETTE.filter(color => color.reduce((sum, part, i) => sum + Math.abs(part - scene.background[i]), 0)
      > 120);
    const at = this.added++, half = Math.max(SMALLEST, Math.round(Math.min(scene.width, scene.height) * .17));
    scene.shapes.push({kind, x: clamp(scene.width * (.3 + .2 * (at % 3)), half, scene.width - half),
                       y: clamp(scene.height * (.4 + .2 * (at % 2)), half, scene.height - half), half,
                       color: [...far[at % far.length]]});
    this.chosen = scene.shapes.length - 1;
    this.#changed(true);
  }
  remove() {
    if (this.chosen === null) return;
    const {shapes} = this.scene;
    shapes.splice(this.chosen, 1);
    this.grip = null; // nobody holds what is gone
    this.chosen = shapes.length ? Math.min(this.chosen, shapes.length - 1) : null;
    this.#changed(true);
    if (!shapes.length) this.buttons.focus({preventScroll: true}); // or the focus would begin again above the page
  }
  toFront() {
    if (this.chosen === null) return;
    this.scene.shapes.push(...this.scene.shapes.splice(this.chosen, 1));
    this.chosen = this.scene.shapes.length - 1;
    this.#changed(true);
  }
  color(text) {
    if (!this.shape) return;
    this.shape.color = fromHex(text);
    this.#changed();
  }
  resize(half, {shape = this.shape, time} = {}) {
    if (!shape) return;
    shape.half = clamp(half, SMALLEST, LARGEST);
    this.#changed(false, time);
  }
  move(x, y, {shape = this.shape, time} = {}) {
    shape.x = Math.round(clamp(x, 0, this.scene.width) * 100) / 100;
    shape.y = Math.round(clamp(y, 0, this.scene.height) * 100) / 100;
    this.#changed(false, time);
  }
  #changed(rebuild = false, time = performance.now()) {
    if (rebuild) this.#build(true);
    else this.#place();
    this.onchosen?.();
    this.change(time);
  }

  // ---- handles ----

  #build(focus = false) {
    const had = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(...this.scene.shapes.map((_, i) => make("button", {
      type: "button", class: "shape", "aria-describedby": "keys-of-a-shape", onfocus: () => this.choose(i),
      onclick: () => this.choose(i), onkeydown: event => this.#key(event, i)})), this.handle);
    this.#place();
    this.element.style.setProperty("--ratio", this.scene.width / this.scene.height);
    if (focus && had) this.buttons.children[this.chosen]?.focus();
    this.onchosen?.();
  }
  #place() {
    const {width, height, shapes} = this.scene;
    shapes.forEach(({kind, x, y, half}, i) => {
      const element = this.buttons.children[i];
      frame(element, [x - half, y - half, x + half, y + half], width, height);
      element.classList.toggle("chosen", i === this.chosen);
      element.setAttribute("aria-label", `${kind} ${i + 1} of ${shapes.length}, at ${Math.round(x)}, ${Math.round(y)}, `
        + `${Math.round(2 * half)} pixels wide`
        + (this.unseen?.includes(i) ? ", not painted, since too little of it can be seen" : ""));
    });
    this.handle.hidden = !this.shape;
    if (this.shape) {
      const [x, y] = this.#corner(this.shape);
      this.handle.style.left = `${100 * x / width}%`;
      this.handle.style.top = `${100 * y / height}%`;
    }
  }
  choose(i) {
    if (i === this.chosen) return;
    this.chosen = i;
    if (i === null && this.buttons.contains(document.activeElement)) document.activeElement.blur();
    this.#place();
    this.onchosen?.();
  }
  #key(event, i) {
    this.choose(i);
    const step = event.shiftKey ? 8 : 1, {shape} = this;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      this.move(shape.x + dx * step, shape.y + dy * step, {time: event.timeStamp});
    } else if (event.key === "+" || event.key === "=") this.resize(shape.half + 1);
    else if (event.key === "-" || event.key === "_") this.resize(shape.half - 1);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove();
    else return;
    event.preventDefault();
  }

  // ---- the pointer ----

  #at(event) { return this.picture.place(event, this.scene.width, this.scene.height); }
  /** What is under the pointer: a row of the shapes, -1, or "corner", the handle. */
  #under(event) {
    const [x, y] = this.#at(event), {shapes, width} = this.scene, {shape} = this;
    const finger = event.pointerType !== "mouse", points = this.picture.canvas.clientWidth / width; // a pixel's
    const from = (px, py) => points * Math.hypot(x - px, y - py);
    if (shape) {
      const [px, py] = this.#corner(shape), far = from(px, py);
      // Of a small shape the handle has the outer half, so that the shape can still be moved.
      if (far < (finger ? REACH.finger : REACH.mouse) && far < from(shape.x, shape.y)) return "corner";
    }
    const hit = shapes.findLastIndex(each => hits(each, x, y));
    return hit >= 0 || !finger ? hit : shapes.findLastIndex(each => from(each.x, each.y) < REACH.finger);
  }
  /** Where the handle is; within the picture, even if the shape is not. */
  #corner({x, y, half}) {
    const {width, height} = this.scene;
    return [clamp(x + half, 0, width), clamp(y + half, 0, height)];
  }
  #listen() {
    const {element} = this, isOther = ({pointerId}) => this.grip && this.grip.pointer !== pointerId;
    element.addEventListener("pointerdown", event => {
      if (event.button || isOther(event)) return; // a second finger holds nothing
      const under = this.#under(event), [x, y] = this.#at(event);
      this.touched = [x, y];
      if (under === -1) return this.choose(null);
      if (under !== "corner") {
        this.choose(under);
        this.buttons.children[under].focus({preventScroll: true});
      }
      const {shape} = this;
      this.grip = {pointer: event.pointerId, shape, corner: under === "corner", dx: shape.x - x, dy: shape.y - y};
      element.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    // A drag is heard at once, where the browser can, and not only when it is about to paint.
    element.addEventListener("onpointerrawupdate" in element ? "pointerrawupdate" : "pointermove", event => {
      if (event.pointerId !== this.grip?.pointer) return;
      const [x, y] = this.#at(event), {shape, corner, dx, dy} = this.grip, held = {shape, time: event.timeStamp};
      if (corner) this.resize(Math.round(Math.max(x - shape.x, y - shape.y) * 10) / 10, held);
      else this.move(x + dx, y + dy, held);
    });
    element.addEventListener("pointermove", event => {
      if (isOther(event)) return;
      if (!this.grip) {
        const under = this.#under(event);
        element.style.cursor = under === "corner" ? "nwse-resize" : under >= 0 ? "grab" : "crosshair";
      }
      this.hover(this.#at(event));
    });
    const release = event => { if (!isOther(event)) this.grip = null; };
    element.addEventListener("pointerup", event => {
      // A finger cannot point without touching: who taps an object chooses it.
      const [x, y] = this.#at(event), isStill = Math.hypot(x - this.touched[0], y - this.touched[1]) < TREMBLE;
      if (event.pointerType === "touch" && !isOther(event) && isStill) this.tap([x, y]);
      release(event);
    });
    element.addEventListener("pointercancel", release);
    element.addEventListener("pointerleave", event => isOther(event) || this.hover(null));
    // A finger on a shape drags it; a finger beside it scrolls the page, unless another one drags.
    element.addEventListener("touchstart", event => {
      if (this.grip || [...event.changedTouches].some(touch => this.#under(touch) !== -1)) event.preventDefault();
    }, {passive: false});
  }

  // ---- the picture ----

  draw(base, unseen = []) {
    const {width, height} = this.scene;
    if (unseen.join() !== this.unseen?.join()) {
      this.unseen = unseen;
      this.#place();
    }
    this.picture.begin(width, height, base);
    this.overlay?.(this.picture);
  }
}

const ICONS = {circle: "●", square: "■", triangle: "▲"};

/** The tools beside the stage: add, change, the ground. */
export function tools(stage, kinds, loadPicture) {
  const color = make("input", {type: "color", oninput: event => stage.color(event.target.value)});
  const size = make("input", {type: "range", min: 2 * SMALLEST, max: 2 * LARGEST, step: 1, // its width, as is said
                              oninput: event => stage.resize(event.target.value / 2)});
  const background = make("input", {type: "color", oninput: event => {
    Object.assign(stage.scene, {background: fromHex(event.target.value), picture: null});
    stage.change(performance.now());
  }});
  const noise = make("input", {type: "range", min: 0, max: .3, step: .01, oninput: event => {
    stage.scene.noise = +event.target.value;
    stage.change(performance.now());
  }});
  const file = make("input", {type: "file", accept: "image/*", class: "unseen", id: "file",
                              onchange: () => { if (file.files[0]) loadPicture(file.files[0]); file.value = ""; }});
  const front = button("To front", () => stage.toFront()), remove = button("Delete", () => stage.remove());
  const adders = kinds.map(kind => {
    const icon = make("span", {class: "icon", "aria-hidden": "true"}, ICONS[kind] ?? "◆");
    icon.style.color = CLASS_COLORS[kind];
    return make("button", {type: "button", "data-add": kind, "aria-label": `Add a ${kind}`,
                           onclick: () => stage.add(kind)}, icon, kind);
  });
  const title = make("legend");
  const ofShape = make("fieldset", {class: "tools"}, title,
    make("label", {}, "Color ", color), make("label", {}, "Size ", size), front, remove);
  const refresh = () => {
    const {shape, scene} = stage;
    ofShape.disabled = !shape;
    if (shape) {
      color.value = hex(shape.color);
      size.value = 2 * shape.half;
    }
    setText(title, shape ? `Chosen shape: ${Math.round(2 * shape.half)} pixels wide` : "Chosen shape");
    background.value = hex(scene.background.map(Math.round));
    noise.value = scene.noise;
  };
  stage.onchosen = refresh;
  refresh();
  return [
    make("fieldset", {class: "tools"}, make("legend", {}, "Add"), adders),
    ofShape,
    make("fieldset", {class: "tools"}, make("legend", {}, "Ground"), make("label", {}, "Color ", background),
      make("label", {}, "Noise ", noise),
      button("Other grain", () => {
        const {seed} = stage.scene; // a pair is that of a picture drawn by lot
        stage.scene.seed = typeof seed === "number" ? (seed + 1) % 1000000 : 0;
        stage.change(performance.now());
      }),
      make("label", {class: "button", for: "file"}, "Your picture…"), file),
  ];
}
