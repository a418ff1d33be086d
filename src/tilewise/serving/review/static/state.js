// What the page knows: the run, its slides, what was decided, what is hidden, and where the reviewer is.

const LABEL = "label", DOUBT = "doubtful-label";
const ABOUT_LABELS = new Set(["label-conflict", "label-missing"]);

export const state = {
  run: null, slides: [], decided: new Map(), acts: -1,
  filtered: [], number: -1, item: 0, other: 0, session: sessionOf(),
  // `own`: slides that this reviewer ever decided about; `opened`: those that this browser showed with everything in sight.
  blind: false, own: new Set(), opened: new Set(), places: [], folder: "",
};

function sessionOf() {
  let session = sessionStorage.getItem("tilewise-session");
  if (!session) {
    session = crypto.randomUUID();
    sessionStorage.setItem("tilewise-session", session);
  }
  return session;
}

/** Whether label, model and audit of a slide are hidden: until this reviewer has decided about it. */
export const isHidden = (number) => state.blind && !state.own.has(number);

/** What the page calls a slide; a file's name may tell its class. */
export const nameOf = (number) => (isHidden(number) ? `Slide ${state.places[number]}` : state.slides[number].id.slice(state.folder.length));

/** The folder that all names begin with, as those of a table of whole paths do: it tells none from another. */
export function findFolder() {
  const [first = "", ...others] = state.slides.map(({ id }) => id);
  let end = first.lastIndexOf("/") + 1;
  while (end && !others.every((id) => id.startsWith(first.slice(0, end)))) end = end > 1 ? first.lastIndexOf("/", end - 2) + 1 : 0;
  state.folder = first.slice(0, end);
}

/** Findings that may be shown: one about another slide would tell something of that. */
export function itemsOf(number) {
  if (isHidden(number)) return [];
  const { items } = state.slides[number];
  return state.blind ? items.filter((item) => !item.others.some(isHidden)) : items;
}

/** A blind order tells nothing: it follows from the names of run, reviewer and slide alone, and is the same again. */
export function shuffleBlind() {
  const { slides, run } = state, keys = slides.map(({ id }) => hash(`${run.name} ${run.reviewer} ${id}`));
  [...slides.keys()].sort((one, two) => keys[one] - keys[two] || one - two).forEach((number, place) => { state.places[number] = place + 1; });
}

/** FNV-1a, and the last step of MurmurHash3, without which names that end alike lie side by side. */
function hash(text) {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

export const isDoubt = (item) => item?.kind === DOUBT;
/** The class that an item suggests as the label, or null; only its own key takes it. */
export const suggestionOf = (item) => (item?.proposal.startsWith("relabel: ") ? item.proposal.slice("relabel: ".length) : null);
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
export const isUndecided = (number) => (isHidden(number) ? isUnread(number) : itemsOf(number).some((item) => isOpen(number, item)));
// What others passed over is unread, as what they read is.
const isUnread = (number) => {
  const decision = labelDecision(number);
  return decision?.decision !== "skip" || decision.author !== state.run.reviewer;
};

/** Take in what the server says is decided: all of it, or what one act changed. */
export function takeIn(answer) {
  if (answer.about === undefined) {
    if (!answer.decided) return;
    state.decided.clear();
  } else if (answer.about) {
    state.decided.delete(key(answer.about[0], answer.about[1]));
  }
  for (const [number, finding, decision, value, author, time, reason, blind] of answer.decided ?? []) {
    state.decided.set(key(number, finding), { decision, value, author, time, reason, blind });
  }
  for (const number of answer.own ?? []) state.own.add(number); // for good: what was seen once is not unseen
  state.acts = answer.acts;
}

/** Counts over all slides: items that are no notes, and those that are decided; blind, slides and those that were read. */
export function progress() {
  if (state.blind) return { all: state.slides.length, decided: state.own.size };
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
    const items = itemsOf(candidate), isToRead = isHidden(candidate);
    const first = step === 0 ? state.item + 1 : 0;
    const last = step === filtered.length ? state.item : isToRead ? 1 : items.length;
    for (let index = first; index < last; index += 1) {
      if (isToRead ? isUnread(candidate) : isOpen(candidate, items[index])) return [candidate, index];
    }
  }
  return null;
}
