// What the page is made of: elements, and the few controls that stand in its panels.

/** An element with attributes, listeners ("onclick") and children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value === "boolean") element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}

/** Set a text if it is another one: to set the same would lay out the page once more. */
export function setText(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** A range with its label and its value in words. */
export function slider(label, {min, max, step, value, digits = 2, words = null, oninput}) {
  const shown = make("output"), input = make("input", {type: "range", min, max, step});
  input.value = value;
  const say = () => { shown.textContent = words ? words(+input.value) : (+input.value).toFixed(digits); };
  input.addEventListener("input", () => { say(); oninput(+input.value); });
  say();
  const element = make("label", {class: "slider"}, make("span", {}, label), input, shown);
  return {element, input, set(number) { input.value = number; say(); }, get value() { return +input.value; }, say};
}

/** A choice with its label. */
export function choice(label, options, onchange, attributes = {}) {
  const select = make("select", {...attributes, onchange: () => onchange(select.value)});
  const set = list => select.replaceChildren(...list.map(([value, words]) => make("option", {value}, words)));
  set(options);
  return {element: make("label", {class: "choice"}, make("span", {}, label), select), select, set};
}

export function button(words, onclick, attributes = {}) {
  return make("button", {type: "button", onclick, ...attributes}, words);
}
