// The photo: two layers of one picture (original and result), moved and scaled together. At most a screenful of tiles
// is held, so that the memory of the browser does not grow with the size of photos nor with their number.

import { picture } from "./api.js";

const TILE = 512;
const LEVELS = [8, 4, 2, 1];
const MOST = 16; // screen pixels for one of the photo

/** Without its source an image gives its pixels back at once, not when the browser comes to it. */
function letGo(image) {
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  image.remove();
}

class Layer {
  constructor(element, side, failed) {
    this.element = element;
    this.side = side;
    this.failed = failed;
    this.tiles = new Map();
    this.base = null;
  }

  clear() {
    this.loading?.abort();
    this.clearTiles();
    if (this.base) letGo(this.base);
    this.base = this.shown = null;
  }

  clearTiles() {
    for (const tile of this.tiles.values()) letGo(tile);
    this.tiles.clear();
  }

  /** Load the preview; what is shown stays until the new one can be. */
  async load(path, tilePath) {
    if (this.shown === path) return;
    this.shown = path;
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    try {
      const image = new Image();
      image.alt = "";
      image.draggable = false;
      image.src = await picture(path, loading.signal);
      await image.decode();
      if (loading.signal.aborted) return URL.revokeObjectURL(image.src);
      const old = this.base;
      this.clearTiles();
      this.element.prepend(image);
      this.base = image;
      this.tilePath = tilePath;
      if (old) letGo(old);
    } catch (error) {
      if (error.name !== "AbortError" && !loading.signal.aborted) this.failed(error);
    }
  }

  /** Put the preview and the tiles that can be seen where they belong. */
  place(view, size, needed) {
    if (this.base) {
      const factor = (size.width * view.scale) / this.base.naturalWidth;
      this.base.style.transform = `translate(${view.x}px, ${view.y}px) scale(${factor})`;
    }
    const wanted = new Set();
    const shown = view.scale * devicePixelRatio; // pixels of the screen for one of the photo
    const coarse = this.base && needed && this.base.naturalWidth < size.width * Math.min(shown * 0.98, 1);
    if (coarse) {
      const level = LEVELS.find((l) => 1 / l >= shown * 0.99) ?? 1;
      const step = TILE * level;
      const [left, top] = [Math.max(0, -view.x / view.scale), Math.max(0, -view.y / view.scale)];
      const right = Math.min(size.width, (view.width - view.x) / view.scale);
      const bottom = Math.min(size.height, (view.height - view.y) / view.scale);
      for (let row = Math.floor(top / step); row * step < bottom; row++) {
        for (let column = Math.floor(left / step); column * step < right; column++) {
          wanted.add(`${level}/${column}/${row}`);
        }
      }
    }
    for (const [key, tile] of this.tiles) {
      if (!wanted.has(key)) {
        letGo(tile);
        this.tiles.delete(key);
      }
    }
    for (const key of wanted) {
      let tile = this.tiles.get(key);
      if (!tile) {
        tile = new Image();
        tile.alt = "";
        tile.draggable = false;
        tile.src = this.tilePath(key);
        this.tiles.set(key, tile);
        this.element.append(tile);
      }
      const [l, column, row] = key.split("/").map(Number);
      const scale = view.scale * l;
      tile.style.transform = `translate(${view.x + column * TILE * scale}px, ${view.y + row * TILE * scale}px) scale(${scale})`;
    }
  }
}

export class Stage {
  constructor(moved, failed) {
    this.element = document.getElementById("stage");
    this.original = new Layer(document.getElementById("original"), "original", failed);
    this.result = new Layer(document.getElementById("result"), "result", failed);
    this.moved = moved;
    this.view = { x: 0, y: 0, scale: 1, width: 1, height: 1 };
    this.mode = "result"; // or original, compare
    this.split = 0.5;
    new ResizeObserver(() => this.photo && (this.fitted ? this.fit() : this.draw())).observe(this.element);
  }

  /** Show a photo, or the same one after a change: done when the side that is looked at is there. */
  async open(photo, frame, keepView) {
    const { id, record, version, state } = photo;
    const fresh = this.photo?.id !== id || this.photo.record !== record || this.frame !== frame;
    if (fresh) {
      this.original.clear();
      this.result.clear();
    }
    this.photo = photo;
    this.frame = frame;
    if (fresh) this.element.setAttribute("aria-busy", "true");
    if (fresh && !keepView) this.fit();
    const query = `frame=${frame}&v=${record}-${version}-${state}`;
    // A coarse picture that is at hand comes first; tiles make it sharp.
    const path = (side) => `${previewPath(photo, side, frame)}&quick=1`;
    const tile = (side) => (key) => `/api/photos/${id}/tile/${side}/${key}?${query}`;
    this.sources = {
      original: () => this.original.load(path("original"), tile("original")),
      result: () => this.result.load(path("result"), tile("result")),
    };
    const [seen, other] = this.mode === "original" ? ["original", "result"] : ["result", "original"];
    await this.sources[seen]();
    this.draw();
    // The other side follows; nobody waits for it.
    if (this.photo === photo) this.sources[other]().then(() => this.draw());
  }

  show(mode) {
    this.mode = mode;
    this.draw();
  }

  measure() {
    const { width, height } = this.element.getBoundingClientRect();
    Object.assign(this.view, { width: Math.max(width, 1), height: Math.max(height, 1) });
  }

  fit() {
    this.measure();
    const { view, photo } = this;
    view.scale = Math.min((view.width - 24) / photo.width, (view.height - 24) / photo.height, MOST);
    view.x = (view.width - photo.width * view.scale) / 2;
    view.y = (view.height - photo.height * view.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  /** Scale around a point of the stage. */
  zoom(factor, x = this.view.width / 2, y = this.view.height / 2) {
    const { view } = this;
    const least = Math.min(0.02, view.scale);
    const scale = Math.min(Math.max(view.scale * factor, least), MOST);
    view.x = x - ((x - view.x) * scale) / view.scale;
    view.y = y - ((y - view.y) * scale) / view.scale;
    view.scale = scale;
    this.fitted = false;
    this.draw();
  }

  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.fitted = false;
    this.draw();
  }

  /** Bring a place of the photo into sight; with `size`, so large that it fills a good part of the stage. */
  center(x, y, size) {
    this.measure();
    const { view } = this;
    if (size) view.scale = Math.min(Math.max((0.35 * Math.min(view.width, view.height)) / size, 0.02), MOST);
    view.x = view.width / 2 - x * view.scale;
    view.y = view.height / 2 - y * view.scale;
    this.fitted = false;
    this.draw();
  }

  /** Bring a place into sight if it is not, large enough to be judged. */
  reach(x, y, size) {
    const { view } = this;
    const tooSmall = size * view.scale < 60;
    const [sx, sy] = [view.x + x * view.scale, view.y + y * view.scale];
    const outside = sx < 40 || sy < 40 || sx > view.width - 40 || sy > view.height - 40;
    if (tooSmall || outside) this.center(x, y, tooSmall ? size : 0);
  }

  /** Where the slider stands: 0 shows the result alone, 1 the original. */
  divide(at) {
    this.split = Math.min(Math.max(at, 0), 1);
    this.draw();
  }

  toPhoto(x, y) {
    return [(x - this.view.x) / this.view.scale, (y - this.view.y) / this.view.scale];
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.measure();
      if (this.result.base || this.original.base) this.element.removeAttribute("aria-busy");
      const { view, mode } = this;
      const compare = mode === "compare";
      this.result.element.style.visibility = mode === "original" ? "hidden" : "visible";
      this.original.element.style.visibility = mode === "result" ? "hidden" : "visible";
      this.result.element.style.clipPath = compare ? `inset(0 0 0 ${this.split * 100}%)` : "";
      if (this.photo) {
        this.original.place(view, this.photo, mode !== "result");
        this.result.place(view, this.photo, mode !== "original");
      }
      this.moved();
    });
  }
}

/** Where a photo's preview is; as large as this screen can use. */
export function previewPath(photo, side, frame) {
  const { width, height } = document.getElementById("stage").getBoundingClientRect();
  const longest = Math.min(Math.max(64 * Math.ceil((Math.max(width, height) * devicePixelRatio) / 64), 512), 2048);
  const version = side === "original" ? photo.record : `${photo.record}-${photo.version}-${photo.state}`;
  return `/api/photos/${photo.id}/preview/${side}?frame=${frame}&longest=${longest}&v=${version}`;
}
