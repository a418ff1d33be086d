// What is drawn over a slide: its mask, its tiles, and the heat of a class.

import { get } from "./api.js";
import { isHidden, state } from "./state.js";

// viridis, by nine of its colours: the same order for the colour-blind and in grey.
const STOPS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "6ece58", "b5de2b", "fde725"]
  .map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const MASK = "#e69f00", TILE = "#111", TILE_HALO = "#fff";
const MAP_SIDE = 512;
const EVEN = 1.05; // attention that nowhere exceeds an equal share by more tells no tile from another
const KINDS = ["mask", "tiles", "heat", "attention"];
const $ = (id) => document.getElementById(id);

const masks = new Map(), heats = new Map();
const maps = new Map();

function colourAt(value) {
  const place = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1), low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((from, channel) => Math.round(from + (STOPS[low + 1][channel] - from) * (place - low)));
}

export const ramp = () => `linear-gradient(to right, ${STOPS.map(([r, g, b]) => `rgb(${r},${g},${b})`).join(", ")})`;

export const isOn = (kind) => $(`show-${kind}`).checked;

export function setUpLayers(redraw) {
  const choice = $("heat-class");
  choice.replaceChildren(...state.run.classes.map((name, index) => new Option(name, index)));
  $("legend").querySelector(".ramp").style.background = ramp();
  $("legend-chance").style.left = `${100 / state.run.classes.length}%`;
  $("legend-chance").title = "chance";
  $("attention-layer").hidden = !state.run.attends;
  for (const kind of KINDS) {
    $(`show-${kind}`).addEventListener("change", () => {
      if (kind === "heat" && isOn("heat")) $("show-attention").checked = false;
      if (kind === "attention" && isOn("attention")) $("show-heat").checked = false;
      redraw();
    });
    $(`opacity-${kind}`).addEventListener("input", redraw);
  }
  choice.addEventListener("change", redraw);
}

/** The class whose heat is shown: the one predicted, until the reviewer chooses. */
export function showClass(name) {
  const index = state.run.classes.indexOf(name);
  if (index >= 0) $("heat-class").value = index;
}

/** Show the switches of layers that tell nothing of a slide where others are hidden. */
export function showSwitches(number) {
  const hidden = isHidden(number);
  for (const kind of ["tiles", "heat"]) $(`show-${kind}`).closest(".layer").hidden = hidden;
  $("class-layer").hidden = hidden;
  $("attention-layer").hidden = hidden || !state.run.attends;
}

export function nextClass() {
  $("heat-class").selectedIndex = ($("heat-class").selectedIndex + 1) % state.run.classes.length;
}

/** Draw what is switched on; what is not here yet is fetched, and `redraw` called when it is. */
export function drawLayers(pane, context, matrix, redraw) {
  const { number, facts } = pane;
  if (isOn("mask") && facts.has_mask) drawMask(pane, context, matrix, redraw);
  if (isHidden(number)) { if (pane.element.id === "pane-one") showLegend(null); return; } // its tiles come with their values
  let values = ["heat", "attention"].filter(isOn);
  if (!values.length && !isOn("tiles")) { showLegend(null); return; }
  const heat = fetchHeat(number, redraw);
  if (!heat || heat.error) {
    if (pane.element.id === "pane-one") showLegend(heat ? { error: heat.error } : { waiting: true });
    return;
  }
  $("attention-layer").hidden = !heat.attention;
  if (!heat.attention) values = values.filter((kind) => kind !== "attention");
  const index = Number($("heat-class").value);
  for (const kind of values) {
    const rows = kind === "heat" ? heat.probabilities : heat.attention;
    if (!isEven(kind, rows[index])) paint(context, matrix, mapOf(number, kind, index, heat, rows[index], pane.size), pane.size, opacity(kind));
  }
  if (isOn("tiles")) outline(context, matrix, heat.boxes, opacity("tiles"));
  if (pane.element.id === "pane-one") showLegend(values.length ? { kind: values[0], heat, index } : null);
}

const isEven = (kind, values) => kind === "attention" && Math.max(...values) <= EVEN;

const opacity = (kind) => Number($(`opacity-${kind}`).value) / 100;

function fetchHeat(number, redraw) {
  if (!heats.has(number)) {
    if (heats.size > 100) heats.clear();
    heats.set(number, null);
    get(`/api/slides/${number}/heat`).then((heat) => heats.set(number, heat), (error) => heats.set(number, { error: error.message }))
      .then(redraw);
  }
  return heats.get(number);
}

function drawMask(pane, context, matrix, redraw) {
  if (!masks.has(pane.number)) {
    if (masks.size > 40) masks.clear();
    const picture = new Image();
    masks.set(pane.number, null);
    picture.onload = () => { masks.set(pane.number, tinted(picture)); redraw(); };
    picture.src = `/api/slides/${pane.number}/mask.png`;
  }
  const mask = masks.get(pane.number);
  if (mask) paint(context, matrix, mask, pane.size, opacity("mask"), true);
}

function tinted(picture) {
  const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight), context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = MASK;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function paint(context, matrix, picture, size, alpha, smooth = false) {
  context.setTransform(...matrix);
  context.globalAlpha = alpha;
  context.imageSmoothingEnabled = smooth;
  context.drawImage(picture, 0, 0, size[0], size[1]);
  context.globalAlpha = 1;
}

/** One map of a slide: tiles at their boxes, averaged where they overlap. */
function mapOf(number, kind, index, heat, values, size) {
  const name = `${number} ${kind} ${index}`;
  if (maps.has(name)) return maps.get(name);
  if (maps.size > 60) maps.clear();
  const scale = Math.min(1, MAP_SIDE / Math.max(...size));
  const width = Math.max(1, Math.round(size[0] * scale)), height = Math.max(1, Math.round(size[1] * scale));
  const sums = new Float32Array(width * height), counts = new Uint16Array(width * height);
  const high = kind === "heat" ? 1 : Math.max(...values);
  heat.boxes.forEach(([x, y, boxWidth, boxHeight], tile) => {
    const left = Math.round(x * scale), right = Math.max(left + 1, Math.round((x + boxWidth) * scale));
    const top = Math.round(y * scale), bottom = Math.max(top + 1, Math.round((y + boxHeight) * scale));
    for (let row = top; row < Math.min(bottom, height); row += 1) {
      for (let column = left; column < Math.min(right, width); column += 1) {
        sums[row * width + column] += values[tile];
        counts[row * width + column] += 1;
      }
    }
  });
  const picture = new OffscreenCanvas(width, height), context = picture.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let at = 0; at < sums.length; at += 1) {
    if (!counts[at]) continue;
    const [red, green, blue] = colourAt(sums[at] / counts[at] / high);
    pixels.data.set([red, green, blue, 255], 4 * at);
  }
  context.putImageData(pixels, 0, 0);
  maps.set(name, picture);
  return picture;
}

function outline(context, matrix, boxes, alpha) {
  const pixel = 1 / Math.hypot(matrix[0], matrix[1]);
  context.setTransform(...matrix);
  context.globalAlpha = alpha;
  for (const [width, colour] of [[2.4, TILE_HALO], [1, TILE]]) {
    context.lineWidth = width * pixel;
    context.strokeStyle = colour;
    context.beginPath();
    for (const [x, y, boxWidth, boxHeight] of boxes) context.rect(x, y, boxWidth, boxHeight);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function showLegend(shown) {
  const legend = $("legend"), message = $("legend-models");
  legend.hidden = !shown;
  legend.classList.toggle("bare", Boolean(shown?.error || shown?.waiting));
  if (!shown) return;
  if (shown.error || shown.waiting) { message.textContent = shown.error ?? "looking at the tiles …"; return; }
  const { kind, heat, index } = shown;
  const isHeat = kind === "heat";
  $("legend-title").textContent = isHeat ? `probability of ${state.run.classes[index]}` : "attention × equal share";
  $("legend-high").textContent = isHeat ? "1" : Math.max(...heat.attention[index]).toFixed(1);
  $("legend-chance").hidden = !isHeat;
  message.textContent = `${!isHeat && isEven(kind, heat.attention[index]) ? "all tiles alike; " : ""}by ${heat.models}`;
}
