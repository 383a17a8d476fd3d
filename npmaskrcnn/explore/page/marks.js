// What the stage and several panels have in common: frames over pictures, bars, the names of anchors, the arrow keys.

import {make, setText} from "./widgets.js";
import {round} from "./draw.js";

/** Where the arrow keys go: columns, rows. */
export const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

/** Put an element over a box of a picture. */
export function frame(element, [x1, y1, x2, y2], width, height) {
  Object.assign(element.style, {left: `${100 * x1 / width}%`, top: `${100 * y1 / height}%`,
                                width: `${100 * (x2 - x1) / width}%`, height: `${100 * (y2 - y1) / height}%`});
}

/** Bars with names and numbers of 0 to 1. */
export function setBars(element, rows) {
  while (element.children.length > 3 * rows.length) element.lastChild.remove();
  while (element.children.length < 3 * rows.length) {
    element.append(make("span"), make("div", {}, make("i")), make("output"));
  }
  rows.forEach(({name, value, color}, i) => {
    const [words, bar, number] = [0, 1, 2].map(part => element.children[3 * i + part]);
    setText(words, name);
    bar.firstChild.style.width = `${100 * value}%`;
    bar.firstChild.style.background = color;
    setText(number, round(value, 3));
  });
}

/** Names of the anchors of a cell: by how much higher than wide they are. */
export function shapeNames({anchors}, perCell) {
  return Array.from({length: perCell}, (_, i) => {
    const [x1, y1, x2, y2] = anchors.data.subarray(4 * i, 4 * i + 4), ratio = (y2 - y1) / (x2 - x1);
    return ratio < .8 ? "wide" : ratio > 1.25 ? "tall" : "square";
  });
}
