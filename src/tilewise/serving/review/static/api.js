// What the page asks its server for.

async function answer(response) {
  if (response.ok) return response.json();
  let detail = await response.text() || response.statusText;
  try { detail = JSON.parse(detail).detail ?? detail; } catch { /* plain text */ }
  throw new Error(typeof detail === "string" ? detail : JSON.stringify(detail));
}

export const get = async (path) => answer(await fetch(path));

export const post = async (path, body) => answer(await fetch(path, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
}));

const details = new Map();

/** Facts of a slide, asked for once; its smallest tile is fetched ahead. */
export function slideDetails(number) {
  if (!details.has(number)) {
    if (details.size > 400) details.clear();
    const promise = get(`/api/slides/${number}`);
    promise.catch(() => details.delete(number));
    details.set(number, promise);
  }
  return details.get(number);
}

export async function fetchAhead(number) {
  const facts = await slideDetails(number);
  if (facts.size) new Image().src = tileAddress(number, 0, 0, 0);
}

export const tileAddress = (number, level, column, row) => `/tiles/${number}/${level}/${column}/${row}`;
