// From arrays to canvases. Nothing here knows the model: bytes become pixels, boxes become lines.

import {make} from "./widgets.js";

export const CLASS_COLORS = {circle: "#E69F00", square: "#0072B2", triangle: "#009E73", in: "#CC79A7", out: "#56B4E9",
                             background: "#8a8a8a"};
const OTHERS = ["#D55E00", "#56B4E9", "#CC79A7", "#8f7a00", "#7a4fbf"];
export const LIT = "#ff2e93"; // the history of the detection that is pointed at
export const OBJECT = 128; // a byte of a mask from which on the pixel is the object: a probability of one half

export function classColor(names, label) {
  const name = names[label]; // a model of one's own may have any, even "constructor"
  return Object.hasOwn(CLASS_COLORS, name) ? CLASS_COLORS[name] : OTHERS[label % OTHERS.length];
}

/** Colors on pictures, by day and by night. */
const BY_DAY = {veil: "255, 255, 255", ink: "#33373e", kept: "#1d6fd1", dropped: "#d4791f"};
const BY_NIGHT = {veil: "16, 18, 21", ink: "#f0eee8", kept: "#6db1ff", dropped: "#ff9d45"};
// In the book a reader may have chosen (theme.js).
const chosen = {dark: "all", light: "not all"}[document.documentElement.dataset.theme];
const night = matchMedia(chosen ?? "(prefers-color-scheme: dark)");
export let theme = night.matches ? BY_NIGHT : BY_DAY;
export function onTheme(changed) {
  night.addEventListener("change", () => {
    theme = night.matches ? BY_NIGHT : BY_DAY;
    changed();
  });
}

const MOST_WORDS = 8; // with more objects their names would hide them
const ROOM_FOR_WORDS = 180; // points that a picture must be wide for that

export const hex = color => "#" + color.map(part => part.toString(16).padStart(2, "0")).join("");
export const fromHex = text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16));
export const round = (number, digits = 0) => Number(number).toFixed(digits);

export function clamp(number, low, high) {
  return Math.min(Math.max(number, low), high);
}

/** Overlap of two boxes: intersection over union. */
export function overlap(a, b) {
  const side = i => Math.max(0, Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]));
  const area = box => (box[2] - box[0]) * (box[3] - box[1]);
  const both = side(0) * side(1);
  return both / (area(a) + area(b) - both || 1);
}

/** Row of an (n, 4) array. */
export const boxOf = ({data}, row) => data.subarray(4 * row, 4 * row + 4);

// Dark to bright: every seventeenth color of matplotlib's magma.
const MAGMA = [[0, 0, 4], [11, 9, 36], [32, 17, 75], [59, 15, 112], [87, 21, 126], [114, 31, 129], [140, 41, 129],
               [168, 50, 125], [196, 60, 117], [222, 73, 104], [241, 96, 93], [250, 127, 94], [254, 159, 109],
               [254, 191, 132], [253, 222, 160], [252, 253, 191]];

/** The color of a number of 0 to 1. */
function heat(fraction) {
  const place = clamp(fraction, 0, 1) * (MAGMA.length - 1), low = Math.min(Math.floor(place), MAGMA.length - 2);
  return MAGMA[low].map((part, i) => part + (place - low) * (MAGMA[low + 1][i] - part));
}

const HEAT = Uint8ClampedArray.from({length: 256 * 3}, (_, i) => heat(Math.floor(i / 3) / 255)[i % 3]);

function put(canvas, width, height, fill) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  const context = canvas.getContext("2d", {willReadFrequently: true}), pixels = context.createImageData(width, height);
  fill(pixels.data);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Put an (h, w, 3) uint8 array on a canvas, a pixel for a pixel. */
export function putColors(canvas, {data, shape: [height, width]}) {
  return put(canvas, width, height, pixels => {
    for (let i = 0, from = 0, to = 0; i < width * height; i++, to += 4) {
      pixels[to] = data[from++];
      pixels[to + 1] = data[from++];
      pixels[to + 2] = data[from++];
      pixels[to + 3] = 255;
    }
  });
}

/** Put numbers on a canvas, from dark (low) to bright (high). */
export function putHeat(canvas, numbers, width, height, low = 0, high = 1) {
  const factor = 255 / (high - low || 1);
  return put(canvas, width, height, pixels => {
    for (let i = 0, to = 0; i < width * height; i++, to += 4) {
      const step = 3 * clamp(Math.round((numbers[i] - low) * factor), 0, 255);
      pixels[to] = HEAT[step];
      pixels[to + 1] = HEAT[step + 1];
      pixels[to + 2] = HEAT[step + 2];
      pixels[to + 3] = 255;
    }
  });
}

/** Put masks (n, h, w) uint8 of 255 * probability on a canvas, each in its color: where it is the object, half
 *  transparent, with its edge. */
export function putMasks(canvas, data, width, height, rows, colors) {
  return put(canvas, width, height, pixels => {
    rows.forEach((row, i) => {
      const [red, green, blue] = fromHex(colors[i]), size = width * height;
      const mask = data.subarray(row * size, (row + 1) * size);
      for (let at = 0; at < mask.length; at++) {
        if (mask[at] < OBJECT) continue;
        const x = at % width;
        const edge = x === 0 || x === width - 1 || mask[at - 1] < OBJECT || mask[at + 1] < OBJECT
          || !(mask[at - width] >= OBJECT) || !(mask[at + width] >= OBJECT); // beyond the picture there is no number
        pixels.set([red, green, blue, edge ? 255 : 130], 4 * at);
      }
    });
  });
}

/** A canvas in the coordinates of the scene, as sharp as the screen allows. */
export class Picture {
  constructor(label, attributes = {}) {
    this.canvas = make("canvas", {role: "img", "aria-label": label, class: "picture", ...attributes});
    this.context = this.canvas.getContext("2d", {willReadFrequently: true});
    this.shown = 0;
    this.onresize = null;
    new ResizeObserver(([entry]) => {
      const shown = Math.round(entry.contentRect.width);
      if (shown === this.shown) return;
      this.shown = shown;
      this.onresize?.();
    }).observe(this.canvas);
  }
  /** Begin a picture of a scene of this size; the base is dimmed by a veil of 0 to 1. */
  begin(width, height, base, veil = 0) {
    const ratio = window.devicePixelRatio || 1;
    const scale = clamp(Math.round((this.shown || width * 2) * ratio / width), 1, 12);
    if (this.canvas.width !== width * scale || this.canvas.height !== height * scale) {
      Object.assign(this.canvas, {width: width * scale, height: height * scale});
      this.canvas.style.setProperty("--ratio", width / height);
    }
    this.scale = scale;
    const {context} = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingEnabled = false;
    if (base) context.drawImage(base, 0, 0, width * scale, height * scale);
    if (veil) {
      context.fillStyle = `rgba(${theme.veil}, ${veil})`;
      context.fillRect(0, 0, width * scale, height * scale);
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.line = ratio * Math.max(1, (this.shown || width * 2) / 420) / scale; // a line of one point on the screen
    return this;
  }
  over(canvas, alpha = 1) {
    this.context.globalAlpha = alpha;
    this.context.drawImage(canvas, 0, 0, canvas.width, canvas.height);
    this.context.globalAlpha = 1;
  }
  box([x1, y1, x2, y2], color, {width = 1.5, dash = null, halo = false, alpha = 1, fill = null} = {}) {
    const {context, line} = this;
    context.globalAlpha = alpha;
    context.setLineDash([]);
    if (fill) {
      context.fillStyle = fill;
      context.fillRect(x1, y1, x2 - x1, y2 - y1);
    }
    if (halo) {
      context.strokeStyle = "rgba(255, 255, 255, .9)";
      context.lineWidth = (width + 2) * line;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    context.strokeStyle = color;
    context.lineWidth = width * line;
    if (dash) context.setLineDash(dash.map(part => part * line));
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
  dot(x, y, color, size = 1.5) {
    const {context, line} = this;
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, size * line, 0, 2 * Math.PI);
    context.fill();
  }
  text(words, x, y, color, limit) {
    const {context, line} = this, size = 12 * line;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const width = context.measureText(words).width + 6 * line, height = size * 1.35;
    x = clamp(x, 0, Math.max(0, limit - width));
    y = Math.max(y, height);
    context.fillStyle = color;
    context.fillRect(x, y - height, width, height);
    const [red, green, blue] = fromHex(color);
    context.fillStyle = .3 * red + .59 * green + .11 * blue > 105 ? "#16181c" : "#fff";
    context.textBaseline = "middle";
    context.fillText(words, x + 3 * line, y - height / 2 + .5 * line);
  }
  /** Where in the scene an event happened. */
  place(event, width, height) {
    const frame = this.canvas.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width * width, (event.clientY - frame.top) / frame.height * height];
  }
}

/** Draw the boxes of some detections, the best in front, and over them their names. */
export function drawBoxes(picture, {width, names, detections}, rows, lit = null, style = {width: 1.5}) {
  const behind = rows.toReversed().map(row => ({...detections[row], isLit: row === lit}));
  const hasRoom = rows.length <= MOST_WORDS && picture.shown >= ROOM_FOR_WORDS;
  for (const {box, label, isLit} of behind) {
    picture.box(box, isLit ? LIT : classColor(names, label), isLit ? {width: 3, halo: true} : style);
  }
  for (const {box, label, score} of behind.filter(({isLit}) => isLit || hasRoom)) {
    picture.text(`${names[label]} ${round(100 * score)} %`, box[0], box[1], classColor(names, label), width);
  }
}
