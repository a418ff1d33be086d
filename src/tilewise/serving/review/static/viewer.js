// One pane with a slide in deep zoom, layers over it, and a scale bar.

import { tileAddress } from "./api.js";

const FIRST_TILE = ["tile-loaded", "tile-load-failed"];
const PATIENCE_MS = 2000; // a tile that is still in the viewer's cache is not announced
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i; // Chromium does not count its own as a caveat
const DRAWERS = drawers();

/** Ways of drawing, best first; `?drawer=` of the address chooses one. WebGL in software takes seconds for its first tile. */
function drawers() {
  const chosen = new URLSearchParams(location.search).get("drawer");
  if (chosen) return [chosen];
  const context = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
  if (!context) return ["canvas"];
  const info = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = context.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : context.RENDERER);
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return SOFTWARE.test(renderer) ? ["canvas"] : ["webgl", "canvas"];
}

export class Pane {
  constructor(element, { onDraw, onMove }) {
    this.element = element;
    this.canvas = element.querySelector("canvas.overlay");
    this.caption = element.querySelector(".caption");
    this.bar = element.querySelector(".scale-bar");
    this.onDraw = onDraw;
    this.cross = null;
    this.viewer = OpenSeadragon({
      element: element.querySelector(".osd"),
      drawer: DRAWERS,
      showNavigationControl: false, animationTime: 0.35, springStiffness: 9, visibilityRatio: 0.3,
      maxZoomPixelRatio: 6, minZoomImageRatio: 0.5, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      imageLoaderLimit: 6, maxImageCacheCount: 300, crossOriginPolicy: false, preserveImageSizeOnResize: true,
    });
    this.viewer.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; });
    for (const name of ["update-viewport", "open", "resize"]) this.viewer.addHandler(name, () => this.draw());
    for (const name of ["animation", "zoom", "pan", "resize"]) this.viewer.addHandler(name, () => onMove?.(this));
  }

  /** Show a slide, until its first tile is there; `placed` says how its pixels lie on those of another one, whose frame the pane then has. */
  open(number, facts, placed = null) {
    this.number = number;
    this.facts = facts;
    this.size = facts.size;
    const [width, height] = facts.size;
    const source = {
      width, height, tileSize: facts.tile, tileOverlap: 0, minLevel: 0, maxLevel: facts.levels - 1,
      getTileUrl: (level, column, row) => tileAddress(number, level, column, row),
    };
    const options = placed ? { tileSource: source, ...placed } : { tileSource: source, x: 0, y: 0, width: 1 };
    return new Promise((resolve, reject) => {
      const isFirst = (event) => {
        if (event.tiledImage !== this.image) return; // still one of the slide before
        for (const name of FIRST_TILE) this.viewer.removeHandler(name, isFirst);
        resolve(this);
      };
      for (const name of FIRST_TILE) this.viewer.addHandler(name, isFirst);
      this.viewer.addOnceHandler("open", () => setTimeout(() => isFirst({ tiledImage: this.image }), PATIENCE_MS));
      this.viewer.addOnceHandler("open-failed", (event) => reject(new Error(event.message)));
      this.viewer.open(options);
    });
  }

  close() {
    this.viewer.close();
    this.number = undefined;
    this.draw();
  }

  get image() { return this.number === undefined ? null : this.viewer.world.getItemAt(0); }

  /** Pixels of the slide to pixels of the pane: [a, b, c, d, e, f] of a canvas's transform. */
  transform() {
    const image = this.image;
    if (!image) return null;
    const { viewport } = this.viewer;
    const [width, height] = this.size;
    const bounds = image.getBoundsNoRotate(true);
    const scale = bounds.width / width;
    const angle = image.getRotation(true) * Math.PI / 180, sign = image.getFlip() ? -1 : 1;
    const cos = Math.cos(angle) * scale, sin = Math.sin(angle) * scale;
    const middle = bounds.getCenter();
    const toWorld = (x, y) => {
      const dx = sign * (x - width / 2), dy = y - height / 2;
      return new OpenSeadragon.Point(middle.x + cos * dx - sin * dy, middle.y + sin * dx + cos * dy);
    };
    const at = (x, y) => viewport.pixelFromPoint(toWorld(x, y), true);
    const origin = at(0, 0), right = at(1, 0), down = at(0, 1);
    return [right.x - origin.x, right.y - origin.y, down.x - origin.x, down.y - origin.y, origin.x, origin.y];
  }

  draw() {
    const { canvas } = this, ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.element;
    if (canvas.width !== Math.round(clientWidth * ratio) || canvas.height !== Math.round(clientHeight * ratio)) {
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const matrix = this.transform();
    if (!matrix) { this.bar.hidden = true; return; }
    const scaled = matrix.map((value) => value * ratio);
    this.onDraw(this, context, scaled);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.cross) drawCross(context, this.viewer.viewport.pixelFromPoint(this.cross, true));
    this.drawBar(Math.hypot(matrix[0], matrix[1]));
  }

  drawBar(screenPerPixel) {
    const { mpp } = this.facts;
    const perUnit = mpp ? screenPerPixel / mpp : screenPerPixel;
    const wanted = 110 / perUnit, power = 10 ** Math.floor(Math.log10(wanted));
    const length = [5, 2, 1].map((step) => step * power).find((value) => value <= wanted) ?? power;
    this.bar.hidden = false;
    this.bar.querySelector("i").style.width = `${length * perUnit}px`;
    const text = mpp ? (length >= 1000 ? `${length / 1000} mm` : `${+length.toPrecision(3)} µm`) : `${+length.toPrecision(3)} px`;
    this.bar.querySelector("span").textContent = text;
  }

  zoomBy(factor) {
    this.viewer.viewport.zoomBy(factor);
    this.viewer.viewport.applyConstraints();
  }

  fit(immediately = false) { this.viewer.viewport.goHome(immediately); }
}

function drawCross(context, { x, y }) {
  for (const [width, colour] of [[3.5, "rgba(255,255,255,.85)"], [1.5, "#000"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x - 12, y); context.lineTo(x - 3, y); context.moveTo(x + 3, y); context.lineTo(x + 12, y);
    context.moveTo(x, y - 12); context.lineTo(x, y - 3); context.moveTo(x, y + 3); context.lineTo(x, y + 12);
    context.stroke();
  }
}

/** Where OpenSeadragon has to put the second slide, so that it lies on the first; `matrix` leads from its pixels. */
export function placeOn(matrix, size, otherSize) {
  const [a, b, c, d, e, f] = matrix; // x' = a x + b y + c, y' = d x + e y + f
  const determinant = a * e - b * d, scale = Math.sqrt(Math.abs(determinant));
  const flipped = determinant < 0, sign = flipped ? -1 : 1;
  // The nearest turn: an affine map of a neighbouring section is bent a little more.
  const angle = Math.atan2(d * sign - b, a * sign + e);
  const [width, height] = otherSize;
  const x = (a * width / 2 + b * height / 2 + c) / size[0], y = (d * width / 2 + e * height / 2 + f) / size[0];
  const worldWidth = width * scale / size[0], worldHeight = height * scale / size[0];
  return {
    x: x - worldWidth / 2, y: y - worldHeight / 2, width: worldWidth,
    degrees: angle * 180 / Math.PI, flipped,
  };
}

/** Two panes move together, each in the frame of the first slide: the one that is acted on leads. */
export function moveTogether(one, two) {
  let leader = one;
  const follow = (from, to) => {
    if (!from.image || !to.image) return;
    to.viewer.viewport.zoomTo(from.viewer.viewport.getZoom(true), null, true);
    to.viewer.viewport.panTo(from.viewer.viewport.getCenter(true), true);
    to.viewer.forceRedraw();
  };
  for (const [from, to] of [[one, two], [two, one]]) {
    for (const name of ["pointerenter", "pointerdown", "wheel"]) {
      from.element.addEventListener(name, () => { leader = from; }, { capture: true, passive: true });
    }
    from.element.addEventListener("pointermove", (event) => {
      const box = from.element.getBoundingClientRect();
      const place = new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top);
      from.cross = null;
      to.cross = to.image ? from.viewer.viewport.pointFromPixel(place, true) : null;
      from.draw();
      to.draw();
    });
    from.element.addEventListener("pointerleave", () => { to.cross = null; to.draw(); });
  }
  return {
    moved: (pane) => { if (pane === leader) follow(leader, leader === one ? two : one); },
    lead: (pane) => { leader = pane; follow(one === pane ? one : two, one === pane ? two : one); },
  };
}
