// The book's few moving parts: light and dark, the search, the glossary's words, sliders by button, folds in print.
// Each works on what the page already holds, and without scripts the page can be read all the same.
"use strict";

// ---- light and dark ----

(function () {
  const button = document.getElementById("theme"), page = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const now = () => page.dataset.theme || (system.matches ? "dark" : "light");
  const name = () => { button.textContent = now() === "dark" ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    page.dataset.theme = now() === "dark" ? "light" : "dark";
    try { localStorage.setItem("npmaskrcnn-theme", page.dataset.theme); } catch (refused) { /* not kept */ }
    name();
  });
  system.addEventListener("change", name);
  name();
})();

// ---- the contents: the page that one reads is in sight ----

(function () {
  const here = document.querySelector("#contents [aria-current]"), contents = document.getElementById("contents");
  const show = () => { if (here) contents.scrollTop = here.offsetTop - contents.clientHeight / 3; };
  show();
  contents.addEventListener("toggle", show);
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && contents.matches(":popover-open")) contents.hidePopover();
  });
})();

// ---- search ----

(function () {
  const dialog = document.getElementById("search"), query = document.getElementById("query");
  const list = document.getElementById("places"), found = document.getElementById("found");
  const root = dialog.dataset.root, MOST = 40, AROUND = 90;
  const IDLE = new Set(("a an and are as at be by can do does for from how i if in into is it its me my of on or so than " +
    "that the there they this to vs was we what when where which who why with you").split(" "));
  let places = null, all = null;      // all sections, once the index is loaded; all words, once one was misspelled

  function load() {
    if (places || document.getElementById("index")) return;
    const script = document.createElement("script");
    script.id = "index";
    script.src = root + "search-index.js";
    script.onload = () => {
      places = window.bookIndex.flatMap(([address, title, sections]) => sections.map(([anchor, heading, text]) =>
        ({ address, title, anchor, heading, text, low: text.toLowerCase(), head: (heading || title).toLowerCase(),
          name: title.toLowerCase(), flat: (heading + " " + text).toLowerCase().replace(/[\s-]/g, ""),
          isOpening: heading === title, isSource: title.includes("/") })));
      search();
    };
    script.onerror = () => { found.textContent = "The index could not be loaded."; script.remove(); };
    document.head.append(script);
  }

  // "anchors" and "overfitting" are found where "anchor" and "overfit" are.
  const stem = (word) => word.replace(/^(\w{4,})(?:ing|ed)$|^(\w{3,})es$|^(\w{2,}[^s])s$/, "$1$2$3")
    .replace(/([bdgmnprt])\1$/, "$1");
  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  // What was asked for, without words that every page has, unless there are no others.
  function words(text) {
    const all = text.toLowerCase().split(/[\s,;:?!"]+/).filter(Boolean).flatMap((word) =>
      places.some((place) => place.low.includes(word)) ? [word] : word.split("-"));
    const telling = all.filter((word) => word.length > 1 && !IDLE.has(word));
    return telling.length ? telling : all;
  }

  // A word counts by how often it is found, more as a whole word, and most in a heading; "batchnorm" finds "batch norm".
  function points(place, word) {
    const part = stem(word), times = place.low.split(part).length - 1;
    const inFlat = word.length > 5 ? place.flat.indexOf(word) : -1, inHead = place.head.includes(part) || inFlat === 0;
    if (!inHead && !times && inFlat < 0 && !place.name.includes(part)) return 0;
    const whole = new RegExp("(^|[^\\p{L}\\p{N}_])" + escaped(word) + "($|[^\\p{L}\\p{N}_])", "u");
    return 1 + Math.min(5, times) + (whole.test(place.head + " " + place.low) ? 6 : 0) +
      (place.head === word || place.head === part ? 60 : inHead ? 20 + 15 * place.isOpening : 0);
  }

  // For a word that stands nowhere, the word with its first letter that shares most pairs of letters, if half of them.
  function nearest(word) {
    const pairs = (text) => new Set([...text].slice(1).map((letter, i) => text[i] + letter)), mine = pairs(word);
    all = all || [...new Set(places.flatMap((place) => place.low.match(/\p{L}{4,}/gu) || []))];
    let best = word, most = 0.49;
    for (const other of all.filter((other) => other[0] === word[0])) {
      const theirs = pairs(other), shared = [...mine].filter((pair) => theirs.has(pair)).length;
      const share = 2 * shared / (mine.size + theirs.size);
      if (share > most) [best, most] = [other, share];
    }
    return best;
  }

  function marked(text, words) {
    const piece = document.createDocumentFragment();
    const parts = text.split(new RegExp("((?:" + words.map((word) => escaped(stem(word))).join("|") +
      ")[\\p{L}\\p{N}_]*)", "iu"));
    parts.forEach((part, i) => {
      if (i % 2) { const mark = document.createElement("mark"); mark.textContent = part; piece.append(mark); }
      else piece.append(part);
    });
    return piece;
  }

  function excerpt(place, words) {
    const places = [words.join(" "), ...words.map(stem)].map((word) => place.low.indexOf(word));
    const at = places[0] >= 0 ? places[0] : Math.min(...places.filter((i) => i >= 0));
    const from = at < Infinity ? Math.max(0, at - AROUND) : 0, to = from + 2 * AROUND;
    return (from ? "… " : "") + place.text.slice(from, to) + (to < place.text.length ? " …" : "");
  }

  function search() {
    list.replaceChildren();
    found.textContent = "";
    const asked = places ? words(query.value) : [];
    if (!asked.length) return;
    const known = asked.map((word) => places.some((place) => points(place, word)) ? word : nearest(word));
    const judged = places.map((place) => {
      const each = known.map((word) => points(place, word));
      const sum = each.reduce((a, b) => a + b) + (known[1] && place.low.includes(known.join(" ")) ? 15 : 0);
      return { place, count: each.filter(Boolean).length, sum: place.isSource ? sum / 3 : sum };
    });
    const most = Math.max(...judged.map(({ count }) => count));
    const best = judged.filter(({ count }) => count && count === most).sort((a, b) => b.sum - a.sum);
    const others = asked.map((word, i) => word === known[i] ? "" : `Nothing has "${word}"; with "${known[i]}": `);
    found.textContent = !most ? "Nothing found." : others.join("") + (most < known.length ? "Not all words together: " : "") +
      (best.length === 1 ? "1 place" : best.length + " places") + (best.length > MOST ? `, the best ${MOST} of them` : "");
    for (const { place } of best.slice(0, MOST)) {
      const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
      link.href = root + place.address + (place.anchor ? "#" + encodeURIComponent(place.anchor) : "");
      link.append(marked(place.title, known));
      if (place.heading && !place.isOpening) link.append(" › ", marked(place.heading, known));
      text.append(marked(excerpt(place, known), known));
      item.append(link, text);
      list.append(item);
    }
  }

  function open() { dialog.showModal(); query.select(); load(); }
  document.getElementById("find").addEventListener("click", open);
  query.addEventListener("input", search);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("a")) dialog.close();      // beside it, or away
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName) || event.ctrlKey || event.metaKey;
    if (event.key === "/" && !dialog.open && !typing) { event.preventDefault(); open(); }
    if (!dialog.open || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
    const links = [query, ...list.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "Enter") {
      if (at === 0) { event.preventDefault(); if (links[1]) links[1].click(); }
      return;
    }
    event.preventDefault();
    links[Math.max(0, Math.min(links.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))].focus();
  });
})();

// ---- the glossary's words: what they mean, where they stand ----

(function () {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  let shown = null;

  function show(link) {
    if (shown === link) return;
    hide();
    shown = link;
    tip.textContent = link.dataset.meaning;
    tip.hidden = false;
    link.setAttribute("aria-describedby", "tip");
    const word = link.getClientRects()[0], width = document.documentElement.clientWidth;
    tip.style.left = Math.max(8, Math.min(word.left, width - tip.offsetWidth - 8)) + scrollX + "px";
    const above = word.top - tip.offsetHeight - 6;
    tip.style.top = (above > 60 ? above : word.bottom + 6) + scrollY + "px";
  }

  function hide() {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }

  for (const link of document.querySelectorAll("a.term")) {
    link.dataset.meaning = link.title;       // without scripts the browser shows the title
    link.removeAttribute("title");
    let touched = false;
    link.addEventListener("pointerdown", (event) => { touched = event.pointerType === "touch" && shown !== link; });
    link.addEventListener("click", (event) => {
      if (touched) { event.preventDefault(); touched = false; show(link); }      // the second touch follows the link
    });
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("mouseleave", () => { if (document.activeElement !== link) hide(); });
    link.addEventListener("focus", () => { if (!touched) show(link); });
    link.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("a.term")) hide(); });
})();

// ---- frames: a step at a time, for fingers that miss a slider's thumb ----

for (const box of document.querySelectorAll(".frames")) {
  const slider = box.querySelector("input[type=range]");
  if (!slider) continue;
  for (const [sign, name, step] of [["‹", "back", -1], ["›", "on", 1]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", "One frame " + name);
    button.addEventListener("click", () => {
      slider.value = Number(slider.value) + step;
      slider.dispatchEvent(new Event("input"));
    });
    const label = slider.closest("label");
    if (step < 0) label.before(button); else label.after(button);
  }
}

// ---- figures that a small window has shrunk: a touch shows them in full size, to be moved sideways ----

function shrunk() {
  for (const box of document.querySelectorAll("article figure, article .frames")) {
    const image = box.querySelector("img"), button = box.querySelector(".enlarge");
    const isSmall = image.naturalWidth > 1.25 * box.clientWidth;
    box.classList.toggle("shrunk", isSmall);
    if (!isSmall) box.classList.remove("large");
    if (button) button.hidden = !isSmall;
    if (button || !isSmall) continue;
    const made = document.createElement("button");
    made.type = "button";
    made.className = "enlarge";
    made.textContent = "⤢";
    made.setAttribute("aria-label", "Figure in full size");
    made.setAttribute("aria-pressed", "false");
    const turn = () => made.setAttribute("aria-pressed", box.classList.toggle("large"));
    made.addEventListener("click", turn);
    image.addEventListener("click", () => { if (box.classList.contains("shrunk")) turn(); });
    box.prepend(made);
  }
}
addEventListener("load", shrunk);
addEventListener("resize", shrunk);

// ---- what is wider than the page can be reached with the arrow keys ----

function reach() {
  for (const box of document.querySelectorAll("pre, .scroll, .display")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0; else box.removeAttribute("tabindex");
  }
}
reach();
addEventListener("resize", reach);

// ---- print: nothing stays folded on paper ----

(function () {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });
})();
