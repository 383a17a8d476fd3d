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
  let places = null;          // of all sections, once the index is loaded

  function load() {
    if (places || document.getElementById("index")) return;
    const script = document.createElement("script");
    script.id = "index";
    script.src = root + "search-index.js";
    script.onload = () => {
      places = window.bookIndex.flatMap(([address, title, sections]) => sections.map(([anchor, heading, text]) =>
        ({ address, title, anchor, heading, text, low: text.toLowerCase(), head: (heading || title).toLowerCase(),
          isSource: title.includes("/") })));
      search();
    };
    script.onerror = () => { found.textContent = "The index could not be loaded."; script.remove(); };
    document.head.append(script);
  }

  // A word counts more at the beginning of a word, more as a whole word, and most in a heading.
  function points(place, words) {
    let sum = 0;
    for (const word of words) {
      const inHead = place.head.indexOf(word), inText = place.low.indexOf(word);
      if (inHead < 0 && inText < 0 && !place.title.toLowerCase().includes(word)) return 0;
      if (inHead >= 0) sum += place.head === word ? 60 : 20;
      if (inText >= 0) sum += 1 + Math.min(5, place.low.split(word).length - 1);
      if (new RegExp("(^|[^\\p{L}\\p{N}_])" + word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") + "($|[^\\p{L}\\p{N}_])", "u")
        .test(place.head + " " + place.low)) sum += 6;
    }
    if (words.length > 1 && (place.head + " " + place.low).includes(words.join(" "))) sum += 15;
    return place.isSource ? sum / 3 : sum;
  }

  function marked(text, words) {
    const piece = document.createDocumentFragment();
    const parts = text.split(new RegExp("(" + words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("|") + ")", "i"));
    parts.forEach((part, i) => {
      if (i % 2) { const mark = document.createElement("mark"); mark.textContent = part; piece.append(mark); }
      else piece.append(part);
    });
    return piece;
  }

  function excerpt(place, words) {
    const at = Math.max(0, Math.min(...words.map((word) => place.low.indexOf(word)).filter((i) => i >= 0), 1e9));
    const from = at > 1e8 ? 0 : Math.max(0, at - AROUND), to = from + 2 * AROUND;
    return (from ? "… " : "") + place.text.slice(from, to) + (to < place.text.length ? " …" : "");
  }

  function search() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    if (!places || !words.length) { found.textContent = ""; return; }
    const best = places.map((place) => [points(place, words), place]).filter(([sum]) => sum > 0)
      .sort((a, b) => b[0] - a[0]);
    found.textContent = best.length === 0 ? "Nothing found." : best.length === 1 ? "1 place" :
      best.length + " places" + (best.length > MOST ? ", the best " + MOST + " of them:" : "");
    for (const [, place] of best.slice(0, MOST)) {
      const item = document.createElement("li"), link = document.createElement("a"), text = document.createElement("p");
      link.href = root + place.address + (place.anchor ? "#" + encodeURIComponent(place.anchor) : "");
      link.append(marked(place.title, words));
      if (place.heading && place.heading !== place.title) link.append(" › ", marked(place.heading, words));
      text.append(marked(excerpt(place, words), words));
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
