// The list of slides: filters, and as many rows as fit on the screen, however many slides there are.

import { state, isUndecided, isDoubt, isHidden, isOpen, isWrong, itemsOf, labelOf, nameOf } from "./state.js";

const ROW = 58;
const $ = (id) => document.getElementById(id);
// Thumbnails wait for the first slide, whose tiles they would hold up.
let hasPictures = false;
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8d8d8d", "#b3a100"];

export const colourOf = (name) => colours[state.run.classes.indexOf(name) % colours.length] ?? "#888";

export function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(element.style, value);
    else if (name in element && name !== "role" && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function fillFilters(onChange) {
  const kinds = new Map();
  for (const slide of state.slides) for (const { kind } of slide.items) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const folds = new Set(state.slides.filter((slide) => slide.fold >= 0).map((slide) => slide.fold));
  options($("filter-kind"), [["", "all slides"], ["*", "with a finding"],
    ...[...kinds].sort().map(([kind, num]) => [kind, `${kind} (${num})`])]);
  options($("filter-class"), [["", "any class"], ...state.run.classes.map((name) => [name, name])]);
  options($("filter-fold"), [["", "any fold"], ...[...folds].sort((a, b) => a - b).map((fold) => [fold, `fold ${fold}`])]);
  $("filters").addEventListener("input", () => { applyFilters(); onChange(); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("list").addEventListener("scroll", drawRows, { passive: true });
  new ResizeObserver(drawRows).observe($("list"));
}

const options = (select, pairs) =>
  select.replaceChildren(...pairs.map(([value, text]) => node("option", { value, textContent: text })));

/** Show those filters that tell nothing of a slide where others are hidden. */
export function showFilters() {
  for (const element of $("filters").querySelectorAll("[data-tells]")) element.hidden = state.blind;
  $("filter-text").placeholder = state.blind ? "Number of a slide   /" : "Name of a slide   /";
  $("filter-text").ariaLabel = state.blind ? "Number of a slide" : "Name of a slide";
  $("filter-undecided").nextElementSibling.textContent = state.blind ? "not yet read" : "undecided";
}

export function applyFilters() {
  const text = $("filter-text").value.toLowerCase(), kind = $("filter-kind").value, name = $("filter-class").value;
  const fold = $("filter-fold").value, order = state.blind ? "blind" : $("filter-order").value;
  const wants = (slide, number) =>
    (!text || nameOf(number).toLowerCase().includes(text))
    && (!$("filter-undecided").checked || isUndecided(number))
    && (state.blind || matches(slide, number));
  const matches = (slide, number) =>
    (!kind || (kind === "*" ? slide.items.length > 0 : slide.items.some((item) => item.kind === kind)))
    && (!name || labelOf(number) === name || slide.predicted === name)
    && (!fold || slide.fold === Number(fold))
    && (!$("filter-wrong").checked || isWrong(number))
    && (!$("filter-unsure").checked || slide.unsure)
    && (!$("filter-doubtful").checked || slide.items.some(isDoubt));
  state.filtered = [...state.slides.keys()].filter((number) => wants(state.slides[number], number));
  const p = (number) => state.slides[number].p ?? 2;
  if (order === "blind") {
    state.filtered.sort((one, two) => state.places[one] - state.places[two]);
  } else if (order === "wrong") {
    const rank = (number) => (isWrong(number) ? 1 + p(number) : 0);
    state.filtered.sort((one, two) => rank(two) - rank(one));
  } else if (order === "unsure") {
    state.filtered.sort((one, two) => p(one) - p(two));
  }
  $("list-count").textContent = `${state.filtered.length} of ${state.slides.length} slides`;
  $("list-space").style.height = `${state.filtered.length * ROW}px`;
  drawRows();
}

/** Bring the reviewer's slide into sight. */
export function reveal() {
  const list = $("list"), top = state.filtered.indexOf(state.number) * ROW;
  if (top >= 0 && (top < list.scrollTop || top + ROW > list.scrollTop + list.clientHeight)) {
    list.scrollTop = Math.max(0, top - list.clientHeight / 2 + ROW / 2);
  }
  drawRows();
}

export function showPictures() {
  hasPictures = true;
  for (const row of $("list-space").children) showPicture(row);
}

function showPicture(row) {
  const picture = row.querySelector("img");
  if (picture) picture.src = `/thumbnails/${row.dataset.key}`;
}

export function drawRows() {
  const list = $("list"), space = $("list-space");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.filtered.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
  const before = new Map([...space.children].map((row) => [row.dataset.key, row]));
  const rows = [];
  for (let place = first; place < last; place += 1) {
    const number = state.filtered[place];
    const row = before.get(String(number)) ?? emptyRow(number);
    row.style.top = `${place * ROW}px`;
    fillRow(row, number);
    rows.push(row);
  }
  space.replaceChildren(...rows);
  const active = state.filtered.includes(state.number) ? `slide-${state.number}` : "";
  if (active) list.setAttribute("aria-activedescendant", active);
  if (!state.blind) noteOpened(rows.map((row) => Number(row.dataset.key)));
}

const placeOfOpened = () => `tilewise-opened ${state.run.log} ${state.run.reviewer}`;

/** Which slides were shown with everything in sight, before the page was loaded this time. */
export function recallOpened() {
  try { state.opened = new Set(JSON.parse(localStorage.getItem(placeOfOpened()) ?? "[]")); } catch { /* not ours */ }
}

/** Remember it of slides: no reading of theirs is a blind one from now on. */
export function noteOpened(numbers) {
  const before = state.opened.size;
  for (const number of numbers) state.opened.add(number);
  if (state.opened.size > before) localStorage.setItem(placeOfOpened(), JSON.stringify([...state.opened]));
}

function emptyRow(number) {
  const picture = node("img", { fetchPriority: "low", loading: "lazy", decoding: "async", alt: "", width: 44, height: 44 });
  picture.addEventListener("error", () => picture.replaceWith(node("span", { className: "no-picture", title: "no picture", textContent: "–" })), { once: true });
  const row = node("div", { className: "slide-row", role: "option", id: `slide-${number}` },
    picture, node("div", { className: "names" }, node("b"), node("span", { className: "label" })), node("span", { className: "marks" }));
  row.dataset.key = number;
  if (hasPictures) showPicture(row);
  return row;
}

function fillRow(row, number) {
  const slide = state.slides[number], label = labelOf(number);
  row.setAttribute("aria-selected", number === state.number);
  row.querySelector("b").textContent = nameOf(number);
  const chip = row.querySelector(".label");
  chip.classList.toggle("bare", isHidden(number));
  if (isHidden(number)) {
    chip.textContent = isUndecided(number) ? "not yet read" : "skipped";
    row.querySelector(".marks").replaceChildren();
    return;
  }
  chip.textContent = label === slide.label ? label ?? "no label" : `${slide.label ?? "no label"} → ${label}`;
  chip.style.setProperty("--class", label ? colourOf(label) : "#888");
  const items = itemsOf(number), open = items.filter((item) => isOpen(number, item)).length;
  const marks = [];
  if (isWrong(number)) marks.push(["wrong", "✗", "predicted otherwise"]);
  else if (slide.unsure) marks.push(["unsure", "~", "unsure"]);
  if (!slide.kept) marks.push(["left-out", "∅", "not in the run"]);
  if (open) marks.push(["open", open, `${open} undecided`]);
  else if (items.some((item) => !item.is_note)) marks.push(["done", "✓", "decided"]);
  else if (items.length) marks.push(["note", "i", "with a note"]);
  if (state.blind) marks.push(["done", "✓", "read"]);
  row.querySelector(".marks").replaceChildren(
    ...marks.map(([className, textContent, title]) => node("i", { className, textContent, title })));
}
