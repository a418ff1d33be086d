// The review page: one reviewer, one slide at a time, decided by the keyboard.

import { get, post, slideDetails, fetchAhead } from "./api.js";
import { state, takeIn, progress, nextOpen, subjectOf, isDoubt, isDropped, isHidden, isOpen, findFolder, itemsOf, labelOf, nameOf, shuffleBlind, suggestionOf } from "./state.js";
import { fillFilters, applyFilters, drawRows, noteOpened, recallOpened, reveal, showFilters, showPictures, node } from "./list.js";
import { Pane, placeOn, moveTogether } from "./viewer.js";
import { setUpLayers, drawLayers, showClass, showSwitches, nextClass } from "./layers.js";
import { fillPanel } from "./panel.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 4000;
let one, two, together = { moved: () => {}, lead: () => {} };
const NOTHING = { number: -1, facts: undefined, other: undefined, hidden: false };
const SWITCH = "tilewise-blind"; // a cookie: unlike a browser's storage it outlives a server's port
// `shown` is what is on the screen; `state` is where the reviewer goes.
let opening = 0, queue = Promise.resolve(), showing = Promise.resolve(), isDeciding = false, shown = NOTHING;

async function start() {
  const [run, slides, decided] = await Promise.all([get("/api/run"), get("/api/slides"), get("/api/decisions")]);
  Object.assign(state, { run, slides });
  takeIn(decided);
  recallOpened();
  findFolder();
  shuffleBlind();
  state.blind = run.blind || document.cookie.split("; ").includes(`${SWITCH}=on`);
  showBlind();
  document.title = `${run.name} · review`;
  $("run-name").textContent = run.name;
  const [value, low, high] = run.score;
  $("run-score").textContent = `${run.cohort}, ${run.recipe}: ${run.metric} ${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
  $("retrain").textContent = run.command;
  fillFilters(() => { if (!state.filtered.includes(state.number) && state.filtered.length) goTo(state.filtered[0], 0); });
  applyFilters();
  const first = firstPlace() ?? [state.filtered[0], 0];
  if (first[0] !== undefined) fetchAhead(first[0]).catch(() => {}); // while the viewer is being made
  one = new Pane($("pane-one"), { onDraw: drawOver, onMove: (pane) => together.moved(pane) });
  setUpLayers(redraw);
  setUpControls();
  goTo(...first);
  showing.then(showPictures);
  showProgress();
  setInterval(watchOthers, POLL_MS);
}

function firstPlace() {
  state.number = state.filtered[0];
  state.item = -1;
  return nextOpen();
}

const drawOver = (pane, context, matrix) => drawLayers(pane, context, matrix, redraw);
function redraw() { one?.draw(); two?.draw(); }

function goTo(number, item = 0) {
  if (number === undefined) return;
  Object.assign(state, { number, item: Math.max(0, Math.min(item, itemsOf(number).length - 1)), other: 0 });
  scrollTo(0, 0); // a narrow window has the list below the slide
  reveal();
  show();
}

function show() { showing = bringUp(); }

async function bringUp() {
  const ticket = ++opening, { number } = state, isNew = shown.number !== number, hidden = isHidden(number);
  if (!state.blind) noteOpened([number]);
  if (isNew) {
    shown = NOTHING;
    one.close();
    $("stage-message").textContent = "";
  }
  const before = shown.facts;
  one.caption.textContent = captionOf(number);
  if (!itemsOf(number)[state.item]?.others.length) $("pane-two").hidden = true;
  showSwitches(number);
  fillPanel(before, handlers);
  let facts;
  try {
    facts = before ?? await slideDetails(number);
  } catch (error) { facts = { unreadable: error.message, facts: {}, notes: [], evidence: {} }; }
  if (ticket !== opening) return;
  fillPanel(facts, handlers);
  $("stage-message").textContent = facts.unreadable ?? "";
  if (isNew || shown.hidden !== hidden) showClass(hidden ? state.run.classes[0] : state.slides[number].predicted ?? state.slides[number].label);
  if (isNew) {
    if (facts.size) {
      try { await one.open(number, facts); } catch (error) { $("stage-message").textContent = error.message; }
    }
    if (ticket !== opening) return;
    shown = { ...NOTHING, number, facts };
  }
  shown.hidden = hidden;
  redraw();
  await showPair(ticket, facts);
  if (ticket === opening) aheadOf();
}

const captionOf = (number, ...words) =>
  [nameOf(number), ...(isHidden(number) ? [] : [labelOf(number) ?? "no label"]), ...words].join(" · ");

/** Show the second slide of the current finding beside the first, laid onto it. */
async function showPair(ticket, facts) {
  const item = itemsOf(state.number)[state.item];
  const other = facts.size && item?.others.length ? item.others[state.other % item.others.length] : null;
  if (other === shown.other) return;
  shown.other = other;
  $("pane-two").hidden = other === null;
  if (other === null) { two?.close(); refit(); return; }
  if (!two) {
    two = new Pane($("pane-two"), { onDraw: drawOver, onMove: (pane) => together.moved(pane) });
    together = moveTogether(one, two);
  }
  if (!state.blind) noteOpened([other]);
  two.caption.textContent = `${nameOf(other)} · laying it onto ${nameOf(state.number)} …`;
  try {
    const [overlay, otherFacts] = await Promise.all([get(`/api/pairs/${state.number}/${other}`), slideDetails(other)]);
    if (ticket !== opening || shown.other !== other) return;
    if (!otherFacts.size) throw new Error(otherFacts.unreadable);
    await two.open(other, otherFacts, placeOn(overlay.matrix, facts.size, otherFacts.size));
    two.caption.textContent = captionOf(other, overlay.words);
    document.body.dataset.pair = `${state.number} ${other} ${overlay.relation}`;
  } catch (error) {
    two.close();
    two.caption.textContent = `${nameOf(other)}: ${error.message}`;
  }
  refit();
}

function refit() {
  requestAnimationFrame(() => { one.fit(true); together.lead(one); redraw(); });
}

function aheadOf() {
  const next = nextOpen();
  const place = state.filtered.indexOf(state.number);
  for (const number of new Set([next?.[0], state.filtered[place + 1]])) {
    if (number !== undefined && number !== state.number) fetchAhead(number).catch(() => {});
  }
}

/** Decide about the slide on the screen and its current finding; the page moves on once the decision is stored. */
function decide(act, value = "") {
  const { number, item: place } = state;
  if (isDeciding || shown.number !== number) return; // nobody decides about a slide that is not on the screen
  const hidden = isHidden(number);
  if (hidden && (act === "accept" || act === "reject")) { toast("Blind reading: press the number of the class that you see, d or s."); return; }
  isDeciding = true;
  const item = itemsOf(number)[place], reason = $("reason").value.trim();
  enqueue(async () => {
    try {
      await store(number, item, act, value, reason, hidden);
    } finally { isDeciding = false; }
    if (state.number !== number || state.item !== place) return; // the reviewer went elsewhere meanwhile
    if (hidden && act !== "skip") { state.item = 0; show(); toast(afterReading(number, value)); return; }
    // A label that was corrected by the way leaves the finding itself open.
    const next = item && isOpen(number, item) ? [number, place] : nextOpen();
    if (next) goTo(...next);
    else { toast("Nothing undecided is left in this list."); step(1); }
  });
}

async function store(slide, item, act, value, reason, hidden) {
  const isLabel = act === "relabel", isConfirmed = isLabel && !hidden && value === labelOf(slide);
  const isWhole = act === "drop" || (!hidden && act === "skip" && (!item || isDropped(slide)));
  const finding = isWhole ? "" : isLabel || !item ? "label" : subjectOf(item);
  const body = { slide, finding, act: isConfirmed ? "reject" : hidden && isLabel ? "read" : act, value, reason, session: state.session };
  const answer = await post("/api/decisions", { ...body, blind: hidden && !state.opened.has(slide) });
  if (act !== "skip") state.own.add(slide);
  $("reason").value = "";
  settle(answer);
}

function afterReading(number, value) {
  const { predicted, label } = state.slides[number];
  if (!value) return "Dropped.";
  const views = [["label", label], ["prediction", predicted]]
    .map(([what, name]) => (name ? `the ${what} ${name === value ? "agrees" : `was ${name}`}` : `there was no ${what}`));
  return `Read as ${value}: ${views.join(", ")}.`;
}

/** Hide or show what label, model and audit say of slides that this reviewer has not decided about. */
function switchBlind() {
  if (state.run.blind) { toast("This review was started with --blind."); return; }
  state.blind = !state.blind;
  document.cookie = `${SWITCH}=${state.blind ? "on" : "off"}; path=/; max-age=31536000; samesite=strict`;
  showBlind();
  applyFilters();
  showProgress();
  if (state.blind) goTo(...(firstPlace() ?? [state.filtered[0], 0])); // not the slide that was in sight just now
  else goTo(state.number, state.item);
}

function showBlind() {
  $("blind").ariaPressed = state.blind;
  $("blind").title = state.run.blind ? "Started with --blind" : "Hide label, model and audit until you have decided (b)";
  document.body.dataset.blind = state.blind;
  showFilters();
}

function turn(word) {
  enqueue(async () => {
    const answer = await post(`/api/${word}`, { session: state.session });
    if (!answer.about) { toast(`Nothing to ${word}.`); return; }
    settle(answer);
    const [number, finding] = answer.about;
    const items = itemsOf(number);
    goTo(number, Math.max(0, items.findIndex((item) => subjectOf(item) === finding)));
    toast(`${word === "undo" ? "Undone" : "Done again"}: ${nameOf(number)}${finding ? `, ${finding}` : ""}`);
  });
}

function enqueue(work) {
  queue = queue.then(work).catch((error) => toast(`Not stored: ${error.message}`, true));
}

function settle(answer) {
  // More acts than this page knows are another browser's: the next look asks for all. The watch may have brought this one already.
  const hasMissed = state.acts >= 0 && answer.acts > state.acts + 1;
  takeIn(answer);
  if (hasMissed) state.acts = -1;
  showProgress();
  drawRows();
}

/** Another browser may decide as well. */
async function watchOthers() {
  if (document.hidden) return;
  const answer = await get(`/api/decisions?acts=${state.acts}`).catch(() => null);
  if (answer?.decided && answer.acts > state.acts) { takeIn(answer); showProgress(); drawRows(); fillPanel(shown.facts, handlers); one.caption.textContent = captionOf(state.number); }
}

function showProgress() {
  const { all, decided } = progress();
  $("progress").setAttribute("aria-valuemax", all);
  $("progress").setAttribute("aria-valuenow", decided);
  $("progress").firstElementChild.style.width = `${all ? 100 * decided / all : 100}%`;
  $("progress").ariaLabel = state.blind ? "slides read" : "findings decided";
  $("progress-text").textContent = `${decided} of ${all} ${state.blind ? "slides read" : "findings decided"}`;
  document.body.dataset.decided = decided;
}

async function showSummary() {
  const { sentences } = await get("/api/summary");
  $("summary-text").replaceChildren(...sentences.map((textContent) => node("p", { textContent })));
  $("summary").showModal();
}

function zoom(how) {
  together.lead(one);
  if (how === "fit") one.fit(); else one.zoomBy(how === "in" ? 1.5 : 1 / 1.5);
}

function step(by) {
  const place = state.filtered.indexOf(state.number);
  goTo(state.filtered[Math.min(Math.max(0, place + by), state.filtered.length - 1)], 0);
}

function stepItem(by) {
  const items = itemsOf(state.number), index = state.item + by;
  if (index >= 0 && index < items.length) { state.item = index; state.other = 0; show(); return; }
  const place = state.filtered.indexOf(state.number) + by;
  if (place < 0 || place >= state.filtered.length) return;
  goTo(state.filtered[place], by > 0 ? 0 : Infinity);
}

function goOn() {
  const next = nextOpen();
  if (next) goTo(...next);
  else toast(`Nothing ${state.blind ? "unread" : "undecided"} is left in this list.`);
}

const handlers = { decide, goOn, chooseItem: (index) => { state.item = index; state.other = 0; show(); } };
const toggle = (kind) => () => { if (!$(`show-${kind}`).closest(".layer").hidden) $(`show-${kind}`).click(); };

const KEYS = [
  ["↑ ↓", "slide before, slide after", { ArrowUp: () => step(-1), ArrowDown: () => step(1) }],
  ["← →", "finding before, finding after", { ArrowLeft: () => stepItem(-1), ArrowRight: () => stepItem(1) }],
  ["n", "next undecided, or next to be read", { n: goOn }],
  ["a", "go on: accept what is proposed; a label is kept", { a: () => {
    const item = itemsOf(state.number)[state.item];
    decide(item && suggestionOf(item) === null ? "accept" : "reject");
  } }],
  ["r", "reject: keep the slide as it is", { r: () => decide("reject") }],
  ["d", "drop the slide", { d: () => decide("drop") }],
  ["s", "skip for now", { s: () => decide("skip") }],
  ["1 … 9", "name the class: correct the label, or read blind", Object.fromEntries([...Array(9).keys()].map((index) => [String(index + 1), () => {
    if (state.run.classes[index]) decide("relabel", state.run.classes[index]);
  }]))],
  ["w", "why: a reason for the next decision", { w: () => $("reason").focus() }],
  ["u  Ctrl+Z", "undo", { u: () => turn("undo") }],
  ["Shift+U  Ctrl+Y", "redo", { U: () => turn("redo") }],
  ["m t h e", "mask, tiles, heat, attention", { m: toggle("mask"), t: toggle("tiles"), h: toggle("heat"), e: toggle("attention") }],
  ["c", "heat of the next class", { c: () => { nextClass(); redraw(); } }],
  ["o", "other slide of the finding", { o: () => { state.other += 1; show(); } }],
  ["+ − 0", "zoom in, out, whole slide", { "+": () => zoom("in"), "=": () => zoom("in"), "-": () => zoom("out"), 0: () => zoom("fit") }],
  ["b", "blind: hide label, model and audit until decided", { b: switchBlind }],
  ["/", "search", { "/": () => $("filter-text").focus() }],
  ["?", "this list", { "?": () => ($("help").open ? $("help").close() : $("help").showModal()) }],
];
const BY_KEY = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function setUpControls() {
  $("help").querySelector(".keys").append(...KEYS.map(([keys, text]) => node("p", {},
    ...keys.split(/\s+/).map((textContent) => node(textContent === "…" ? "span" : "kbd", { textContent })), ` ${text}`)));
  document.addEventListener("keydown", onKey, true);
  $("undo").onclick = () => turn("undo");
  $("redo").onclick = () => turn("redo");
  $("blind").onclick = switchBlind;
  $("summary-button").onclick = () => showSummary().catch((error) => toast(error.message, true));
  $("help-button").onclick = () => $("help").showModal();
  $("list").addEventListener("click", (event) => {
    const row = event.target.closest(".slide-row");
    if (row) goTo(Number(row.dataset.key), 0);
  });
  $("zoom").addEventListener("click", (event) => {
    if (event.target.dataset.zoom) zoom(event.target.dataset.zoom);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

function onKey(event) {
  const isTyping = event.target.matches("input[type=search], input[type=text], select, input[type=range]");
  if (isTyping) {
    if (event.key === "Escape" || (event.key === "Enter" && /search|text/.test(event.target.type))) { event.target.blur(); event.preventDefault(); }
    return;
  }
  if (event.ctrlKey || event.metaKey) {
    const word = { z: event.shiftKey ? "redo" : "undo", Z: "redo", y: "redo" }[event.key];
    if (word) { event.preventDefault(); turn(word); }
    return;
  }
  if (event.altKey || $("summary").open || ($("help").open && event.key !== "?")) return;
  const action = BY_KEY[event.key];
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  action();
}

let toastTimer;
function toast(text, isFault = false) {
  $("toast").textContent = text;
  $("toast").className = isFault ? "fault visible" : "visible";
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("visible"), isFault ? 8000 : 2500);
}

start().catch((error) => { $("stage-message").textContent = `The page cannot be shown: ${error.message}`; });
// What tests look at.
window.review = { state, panes: () => [one, two], shown: () => shown.number, settled: async () => { await queue; await showing; } };
