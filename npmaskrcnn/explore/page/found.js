// What is found: a list of names that can be pointed at and chosen, and the same in words.

import {make, setText} from "./widgets.js";
import {classColor, round} from "./draw.js";
import {shapeNames} from "./marks.js";

/** The list. A name stays in its place, with the pointer and the focus, as long as its object is there. */
export class FoundList {
  rows = []; // of the detections, in the order of the list

  constructor(element, focus) {
    Object.assign(this, {element, focus});
    element.tabIndex = -1; // for the focus of a name that is gone
  }
  /** After a look: after(row) is the row of the same object now, or null. */
  follow(after) { this.rows = this.rows.map(after); }
  draw() {
    const {element, focus, focus: {look: {answer: {class_names: names, detections}}, shown, lit, chosen}} = this;
    this.#drop(this.rows.flatMap((row, i) => shown.includes(row) ? [] : [element.children[i]]));
    const stay = this.rows.filter(row => shown.includes(row));
    this.rows = [...stay, ...shown.filter(row => !stay.includes(row))];
    while (element.children.length < shown.length) element.append(make("li", {}, newChip(focus)));
    this.rows.forEach((row, i) => {
      const chip = element.children[i].firstChild, {label, score} = detections[row];
      chip.dataset.row = row;
      chip.firstChild.style.background = classColor(names, label);
      setText(chip.lastChild, `${names[label]} ${round(100 * score)} %`);
      chip.classList.toggle("lit", row === lit);
      chip.setAttribute("aria-pressed", String(row === chosen));
    });
  }
  #drop(items) {
    for (const item of items) {
      delete item.firstChild.dataset.row; // it points at nothing any more
      if (item.contains(document.activeElement)) this.element.focus(); // and not to the top of the page
      item.remove();
    }
  }
}

function newChip(focus) {
  const row = () => +chip.dataset.row, point = () => focus.point(row());
  const leave = () => { if (focus.pointed === row() && !focus.place) focus.point(null); };
  const chip = make("button", {type: "button", class: "chip", onclick: () => focus.choose(row()),
    onpointerenter: point, onpointerleave: leave, onfocus: () => chip.matches(":focus-visible") && point(),
    onblur: leave}, make("i", {"aria-hidden": "true"}), make("span"));
  return chip;
}

/** "Found: 2 circles, 1 square." */
export function foundWords(names, detections) {
  const numbers = new Map();
  for (const {label} of detections) numbers.set(label, (numbers.get(label) ?? 0) + 1);
  const parts = [...numbers].sort(([a], [b]) => a - b).map(([label, count]) => plural(count, names[label]));
  return parts.length ? `Found: ${parts.join(", ")}.` : "Found: nothing.";
}

function plural(count, name) {
  return `${count} ${name}${count === 1 || name === "in" || name === "out" ? "" : "s"}`;
}

/** What became of the object in focus, in words. */
export function historyWords({look, history, lit, shown}) {
  if (!history) {
    return shown.length ? "Point at one of them, or choose it, and its history lights up in the panels." : "";
  }
  const {levels, class_names: names, detections, anchors_per_cell: perCell} = look.answer, [y, x] = history.cell;
  const form = shapeNames(look.arrays, perCell)[history.anchor_of_cell];
  return `This ${names[detections[lit].label]} began as anchor ${history.anchor}, the ${form} one of row ${y}, `
    + `column ${x} on ${levels[history.level].name}, became proposal ${history.roi}, and was read from `
    + `${levels[history.roi_level].name}.`;
}
