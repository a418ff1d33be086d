// The list of slides: filters, and as many rows as fit on the screen, however many slides there are.

import { state, isUndecided, isDoubt, isOpen, isWrong, labelOf } from "./state.js";

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

export function applyFilters() {
  const text = $("filter-text").value.toLowerCase(), kind = $("filter-kind").value, name = $("filter-class").value;
  const fold = $("filter-fold").value, order = $("filter-order").value;
  const wants = (slide, number) =>
    (!text || slide.id.toLowerCase().includes(text))
    && (!kind || (kind === "*" ? slide.items.length > 0 : slide.items.some((item) => item.kind === kind)))
    && (!name || labelOf(number) === name || slide.predicted === name)
    && (!fold || slide.fold === Number(fold))
    && (!$("filter-wrong").checked || isWrong(number))
    && (!$("filter-unsure").checked || slide.unsure)
    && (!$("filter-doubtful").checked || slide.items.some(isDoubt))
    && (!$("filter-undecided").checked || isUndecided(number));
  state.filtered = [...state.slides.keys()].filter((number) => wants(state.slides[number], number));
  const p = (number) => state.slides[number].p ?? 2;
  if (order === "wrong") {
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
  row.querySelector("b").textContent = slide.id;
  const chip = row.querySelector(".label");
  chip.textContent = label === slide.label ? label ?? "no label" : `${slide.label ?? "no label"} → ${label}`;
  chip.style.setProperty("--class", label ? colourOf(label) : "#888");
  const open = slide.items.filter((item) => isOpen(number, item)).length;
  const marks = [];
  if (isWrong(number)) marks.push(["wrong", "✗", "predicted otherwise"]);
  else if (slide.unsure) marks.push(["unsure", "~", "unsure"]);
  if (!slide.kept) marks.push(["left-out", "∅", "not in the run"]);
  if (open) marks.push(["open", open, `${open} undecided`]);
  else if (slide.items.some((item) => !item.is_note)) marks.push(["done", "✓", "decided"]);
  else if (slide.items.length) marks.push(["note", "i", "with a note"]);
  row.querySelector(".marks").replaceChildren(
    ...marks.map(([className, textContent, title]) => node("i", { className, textContent, title })));
}
