// What the page knows: the run, its slides, what was decided, and where the reviewer is.

const LABEL = "label", DOUBT = "doubtful-label";
const ABOUT_LABELS = new Set(["label-conflict", "label-missing"]);

export const state = {
  run: null, slides: [], decided: new Map(), acts: -1,
  filtered: [], number: -1, item: 0, other: 0, session: sessionOf(),
};

function sessionOf() {
  let session = sessionStorage.getItem("tilewise-session");
  if (!session) {
    session = crypto.randomUUID();
    sessionStorage.setItem("tilewise-session", session);
  }
  return session;
}

export const isDoubt = (item) => item?.kind === DOUBT;
export const subjectOf = (item) => (item ? (isDoubt(item) ? LABEL : item.kind) : LABEL);
const key = (number, finding) => `${number}|${finding}`;

/** Whether the slide as a whole is left out. */
export const isDropped = (number) => state.decided.get(key(number, ""))?.decision === "drop";

/** The decision about an item of a slide, or undefined. */
export function decisionOf(number, item) {
  const own = state.decided.get(key(number, subjectOf(item))), whole = state.decided.get(key(number, ""));
  if (own && !isDropped(number)) return own;
  if (whole) return whole;
  return item && ABOUT_LABELS.has(item.kind) ? state.decided.get(key(number, LABEL)) : undefined;
}

export const labelDecision = (number) => state.decided.get(key(number, LABEL));

/** The label as it stands: of the run, or as a reviewer corrected it. */
export function labelOf(number) {
  const decision = labelDecision(number);
  return decision?.decision === "relabel" ? decision.value : state.slides[number].label;
}

/** Whether the run predicts otherwise than the label as it stands. */
export function isWrong(number) {
  const label = labelOf(number), { predicted } = state.slides[number];
  return Boolean(label && predicted && label !== predicted);
}

/** Whether somebody has to decide; findings that propose to keep the slide as it is are notes. */
export const isOpen = (number, item) => !item.is_note && !decisionOf(number, item);
export const isUndecided = (number) => state.slides[number].items.some((item) => isOpen(number, item));

/** Take in what the server says is decided: all of it, or what one act changed. */
export function takeIn(answer) {
  if (answer.about === undefined) {
    if (!answer.decided) return;
    state.decided.clear();
  } else if (answer.about) {
    state.decided.delete(key(answer.about[0], answer.about[1]));
  }
  for (const [number, finding, decision, value, author, time, reason] of answer.decided ?? []) {
    state.decided.set(key(number, finding), { decision, value, author, time, reason });
  }
  state.acts = answer.acts;
}

/** Counts over all slides: items that are no notes, and those that are decided. */
export function progress() {
  let all = 0, decided = 0;
  state.slides.forEach((slide, number) => slide.items.forEach((item) => {
    if (item.is_note) return;
    all += 1;
    const decision = decisionOf(number, item);
    if (decision && decision.decision !== "skip") decided += 1;
  }));
  return { all, decided };
}

/** The next open item after the reviewer's place in the filtered list, around its end: [slide, item] or null. */
export function nextOpen() {
  const { filtered, number } = state;
  const start = Math.max(0, filtered.indexOf(number));
  for (let step = 0; step <= filtered.length; step += 1) {
    const candidate = filtered[(start + step) % filtered.length];
    if (candidate === undefined) return null;
    const items = state.slides[candidate].items;
    const first = step === 0 ? state.item + 1 : 0;
    const last = step === filtered.length ? state.item : items.length;
    for (let index = first; index < last; index += 1) {
      if (isOpen(candidate, items[index])) return [candidate, index];
    }
  }
  return null;
}
