// What is known of the slide, and the buttons that decide.

import { state, decisionOf, isDoubt, labelOf, labelDecision } from "./state.js";
import { colourOf, node } from "./list.js";

const $ = (id) => document.getElementById(id);
const PAST = { keep: "kept", drop: "dropped", repair: "repaired", "fix-mask": "mask fixed", relabel: "relabelled", skip: "skipped" };

export function fillPanel(facts, { decide, chooseItem }) {
  const { number } = state, slide = state.slides[number];
  fillVerdict(slide, number);
  fillProbabilities(facts, slide, number);
  $("items").replaceChildren(...slide.items.map((item, index) => itemCard(item, index, number, facts, chooseItem)));
  fillActions(slide.items[state.item], slide, decide);
  $("relabel").replaceChildren(...state.run.classes.map((name, index) => node("button", {
    className: name === labelOf(number) ? "class current" : "class", style: { borderColor: colourOf(name) },
    title: index < 9 ? `Label ${name} (${index + 1})` : `Label ${name}`, onclick: () => decide("relabel", name),
  }, node("kbd", { textContent: index < 9 ? index + 1 : "" }), name)));
  const rows = { ...facts?.facts, fold: slide.fold >= 0 ? slide.fold : null, tiles: facts?.prediction?.num_tiles,
    size: facts?.size ? `${facts.size[0]} × ${facts.size[1]} px` : null, "µm per pixel": facts?.mpp };
  $("facts").tBodies[0].replaceChildren(...Object.entries(rows).filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => node("tr", {}, node("th", { scope: "row", textContent: name }), node("td", { textContent: value }))));
  $("notes").replaceChildren(...(facts?.notes ?? []).map((text) => node("p", { textContent: text })));
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
    node("b", { textContent: p.toFixed(2) }))));
  if (prediction?.calibrated) {
    const set = prediction.set.length ? prediction.set.join(", ") : "no class";
    $("probabilities").append(node("p", { textContent: `calibrated; the 90 % set: ${set}` }));
  }
}

function itemCard(item, index, number, facts, chooseItem) {
  const decision = decisionOf(number, item), [confidence, ...evidence] = facts?.evidence?.[item.kind] ?? [];
  const isCurrent = index === state.item;
  const card = node("div", { className: `item${isCurrent ? " current" : ""}`, role: "listitem", onclick: () => chooseItem(index) },
    node("div", { className: "item-head" }, node("b", { textContent: item.kind.replaceAll("-", " ") }),
      node("span", { textContent: decision ? `${PAST[decision.decision]}${decision.value ? `: ${decision.value}` : ""}` : item.is_note ? "note" : isDoubt(item) ? item.proposal.replace("relabel: ", "in doubt, perhaps ") : `proposed: ${item.proposal}`,
        className: decision ? `decided ${decision.decision}` : "proposed", title: decision ? `${decision.author}, ${decision.time}` : "" })));
  if (isCurrent) {
    card.append(...evidence.map((text) => node("p", { textContent: text })));
    if (confidence !== undefined) card.append(node("p", { className: "confidence", textContent: `confidence ${confidence.toFixed(2)}` }));
  }
  return card;
}

function fillActions(item, slide, decide) {
  const action = (act, keyName, text, title, look = act) => node("button", { className: look, title: `${title} (${keyName})`, onclick: () => decide(act) },
    node("kbd", { textContent: keyName }), text);
  const buttons = item?.is_note
    ? [action("accept", "a", "Keep as it is", "Nothing has to be done", "wide")]
    // Most labels in doubt are right, so that the suggestion is not what one clicks first.
    : isDoubt(item)
    ? [action("reject", "r", `Keep ${labelOf(state.number)}`, "The label is right", "accept"),
      action("accept", "a", item.proposal.replace("relabel: ", "Change to "), "The label is wrong: take the class that the run suggests", "wide")]
    : item
    ? [action("accept", "a", `Accept: ${item.proposal}`, "Do as proposed"),
      action("reject", "r", "Reject", "The finding is wrong: keep the slide as it is")]
    : [action("reject", "a", "Label is right", "Confirm the label", "wide")];
  $("actions").replaceChildren(...buttons, action("drop", "d", "Drop", "Leave the slide out"), action("skip", "s", "Skip", "Decide later"));
}
