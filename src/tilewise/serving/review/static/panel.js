// What is known of the slide, and the buttons that decide.

import { state, decisionOf, isDoubt, isHidden, itemsOf, labelOf, labelDecision, suggestionOf } from "./state.js";
import { colourOf, node } from "./list.js";

const $ = (id) => document.getElementById(id);
/** Nothing is certain that a few hundred slides say. */
const inWords = (p) => (p >= 0.995 ? ">0.99" : p < 0.005 ? "<0.01" : p.toFixed(2));
const PAST = { keep: "kept", drop: "dropped", repair: "repaired", "fix-mask": "mask fixed", relabel: "relabelled", skip: "skipped" };

export function fillPanel(facts, { decide, chooseItem, goOn }) {
  const { number } = state, slide = state.slides[number], hidden = isHidden(number);
  document.body.dataset.hidden = hidden;
  if (hidden) {
    fillBlind(number, decide);
  } else {
    const items = itemsOf(number);
    fillVerdict(slide, number);
    fillProbabilities(facts, slide, number);
    $("items").replaceChildren(...items.map((item, index) => itemCard(item, index, number, facts, chooseItem)));
    fillActions(items[state.item], slide, decide);
    if (state.blind) $("actions").prepend(node("button", { className: "accept", title: "Next slide (n)", onclick: goOn }, node("kbd", { textContent: "n" }), "Next slide"));
  }
  fillClasses(number, hidden, decide);
  const picture = { size: facts?.size ? `${facts.size[0]} × ${facts.size[1]} px` : null, "µm per pixel": facts?.mpp };
  const rows = hidden ? picture
    : { ...facts?.facts, fold: slide.fold >= 0 ? slide.fold : null, tiles: facts?.prediction?.num_tiles, ...picture };
  $("facts").tBodies[0].replaceChildren(...Object.entries(rows).filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => node("tr", {}, node("th", { scope: "row", textContent: name }), node("td", { textContent: value }))));
  $("notes").replaceChildren(...(hidden ? [] : facts?.notes ?? []).map((text) => node("p", { textContent: text })));
}

/** What stands beside a slide that is read blind. */
function fillBlind(number, decide) {
  const texts = ["Blind reading: which class do you see? Label, prediction and findings appear once you have answered."];
  if (state.opened.has(number)) texts.push("This browser has shown them before: your answer does not count as blind.");
  $("verdict").replaceChildren(...texts.map((textContent) => node("p", { textContent })));
  $("probabilities").replaceChildren();
  $("items").replaceChildren();
  $("actions").replaceChildren(action(decide, "drop", "d", "Unfit: drop", "Leave the slide out"),
    action(decide, "skip", "s", "Skip", "Read it later"));
}

function fillClasses(number, hidden, decide) {
  const what = hidden ? "Read as" : "Label";
  $("relabel").ariaLabel = hidden ? "The class that you see" : "Correct the label";
  $("relabel").replaceChildren(...state.run.classes.map((name, index) => node("button", {
    className: !hidden && name === labelOf(number) ? "class current" : "class", style: { borderColor: colourOf(name) },
    title: index < 9 ? `${what} ${name} (${index + 1})` : `${what} ${name}`, onclick: () => decide("relabel", name),
  }, keyOf(name), name)));
}

/** The key that names a class; there are nine. */
function keyOf(name) {
  const index = state.run.classes.indexOf(name);
  return index >= 0 && index < 9 ? node("kbd", { textContent: index + 1 }) : null;
}

function fillVerdict(slide, number) {
  const label = labelOf(number), decision = labelDecision(number);
  const chip = (name, what) => node("div", { className: "verdict-class", style: { borderColor: name ? colourOf(name) : "#888" } },
    node("small", { textContent: what }), node("strong", { textContent: name ?? "none" }));
  const words = label !== slide.label ? `label, was ${slide.label ?? "none"}` : decision?.decision === "keep" ? "label, confirmed" : "label";
  const parts = [chip(label, words)];
  if (slide.predicted) {
    const isRight = label === slide.predicted;
    parts.push(node("span", { className: isRight ? "agrees" : "differs", textContent: isRight ? "=" : "≠",
      title: isRight ? "predicted right" : "predicted otherwise" }), chip(slide.predicted, slide.unsure ? "predicted, unsure" : "predicted"));
  } else {
    parts.push(node("p", { textContent: slide.kept ? "not predicted" : "not in the run" }));
  }
  $("verdict").replaceChildren(...parts);
}

function fillProbabilities(facts, slide, number) {
  const prediction = facts?.prediction;
  const rows = prediction ? Object.entries(prediction.probabilities).sort((one, two) => two[1] - one[1]) : [];
  $("probabilities").replaceChildren(...rows.map(([name, p]) => node("div", { className: "probability", title: `${name}: ${p.toFixed(3)}` },
    node("span", { className: name === labelOf(number) ? "own" : "", textContent: name }),
    node("div", {}, node("i", { style: { width: `${100 * p}%`, background: colourOf(name) } }),
      node("u", { style: { left: `${100 / rows.length}%` }, title: "chance" })),
    node("b", { textContent: inWords(p) }))));
  if (prediction?.calibrated) {
    const { set } = prediction, last = set.length - 1;
    const classes = last > 0 ? `${set.slice(0, last).join(", ")} or ${set[last]}` : set[0] ?? "no class";
    $("probabilities").append(node("p", { textContent: `calibrated; at 90 % confidence: ${classes}` }));
  }
}

function itemCard(item, index, number, facts, chooseItem) {
  const decision = decisionOf(number, item), [confidence, ...evidence] = facts?.evidence?.[item.kind] ?? [];
  const isCurrent = index === state.item;
  const card = node("div", { className: `item${isCurrent ? " current" : ""}`, role: "listitem", onclick: () => chooseItem(index) },
    node("div", { className: "item-head" }, node("b", { textContent: item.kind.replaceAll("-", " ") }),
      node("span", { textContent: decision ? `${PAST[decision.decision]}${decision.value ? `: ${decision.value}` : ""}` : item.is_note ? "note" : isDoubt(item) ? item.proposal.replace("relabel: ", "in doubt, perhaps ") : `proposed: ${item.proposal}`,
        className: decision ? `decided ${decision.decision}` : "proposed", title: decision ? `${decision.author}, ${decision.time}${decision.blind ? ", blind" : ""}` : "" })));
  if (isCurrent) {
    card.append(...evidence.map((text) => node("p", { textContent: text })));
    if (confidence !== undefined) card.append(node("p", { className: "confidence", textContent: `confidence ${inWords(confidence)}` }));
  }
  return card;
}

const action = (decide, act, keyName, text, title, look = act) => node("button", { className: look, title: `${title} (${keyName})`, onclick: () => decide(act) },
  node("kbd", { textContent: keyName }), text);

function fillActions(item, slide, decide) {
  const suggestion = suggestionOf(item);
  const buttons = item?.is_note
    ? [action(decide, "accept", "a", "Keep as it is", "Nothing has to be done", "wide")]
    // Most labels in doubt are right: the key that goes on keeps them, and a new one is named by its own key.
    : suggestion !== null
    ? [action(decide, "reject", "a", `Keep ${labelOf(state.number) ?? "it without a label"}`, "The label is right", "accept"),
      node("button", { className: "wide", title: "The label is wrong: take the class that is suggested", onclick: () => decide("relabel", suggestion) },
        keyOf(suggestion), `Change to ${suggestion}`)]
    : item
    ? [action(decide, "accept", "a", `Accept: ${item.proposal}`, "Do as proposed"),
      action(decide, "reject", "r", "Reject", "The finding is wrong: keep the slide as it is")]
    : [action(decide, "reject", "a", "Label is right", "Confirm the label", "wide")];
  $("actions").replaceChildren(...buttons, action(decide, "drop", "d", "Drop", "Leave the slide out"), action(decide, "skip", "s", "Skip", "Decide later"));
}
