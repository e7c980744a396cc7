// The list of photos, of which only the rows in sight exist.

export const REASONS = {
  "no-face": ["∅", "No face", "No face was found"],
  "consent": ["⚑", "Consent?", "A concealed face may be of somebody who consented"],
  "low-score": ["?", "Low score", "A weak hit, or a face with a low score"],
  person: ["☻", "Person", "A person of whom no face was found, as from behind"],
  "one-model": ["½", "One model", "A face that one model saw and another did not"],
  burst: ["≡", "Burst", "A face concealed in a neighbour of a burst, bare here"],
  rest: ["•", "The rest", "Nothing is doubtful"],
};

export const STATES = {
  waiting: ["○", "To review", "plain"],
  publishing: ["…", "Writing", "plain"],
  accepted: ["✓", "Accepted", "good"],
  held: ["■", "Held back", "bad"],
  failed: ["!", "Not written", "bad"],
};

const ROW = 76;

export function badge(photo) {
  const [sign, text, kind] = STATES[photo.state];
  const element = document.createElement("span");
  element.className = `badge ${kind}`;
  element.textContent = `${sign} ${text}`;
  return element;
}

export class Queue {
  constructor(opened) {
    this.opened = opened;
    this.photos = [];
    this.filter = null;
    this.ready = false;
    this.current = null;
    this.box = document.getElementById("rows");
    this.list = this.box.querySelector("ol");
    this.rows = new Map();
    this.box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  set(photos) {
    this.photos = photos;
    this.update();
  }

  /** Take in what changed about one photo: of all that the desk knows of it, what the list holds, so that the page does
   * not grow with every photo that is opened. */
  merge(photo) {
    const held = this.photos.find((p) => p.id === photo.id);
    if (!held) return;
    for (const key in held) if (key in photo) held[key] = photo[key];
    this.update();
  }

  get shown() {
    return this.filter ? this.photos.filter((photo) => photo.reason === this.filter) : this.photos;
  }

  /** The photo so many places on, round the end; with `waiting`, the next that nobody decided or has. */
  next(step, waiting = false) {
    const shown = this.shown;
    const from = shown.findIndex((photo) => photo.id === this.current);
    for (let i = 1; i <= shown.length; i++) {
      const photo = shown[(from + step * i + shown.length * i) % shown.length];
      const free = !photo.claim || photo.claim.client === this.me;
      if (!waiting || (photo.state === "waiting" && free)) return photo.id === this.current ? null : photo;
    }
    return null;
  }

  select(id) {
    this.current = id;
    const at = this.shown.findIndex((photo) => photo.id === id);
    if (at >= 0) {
      const { scrollTop, clientHeight } = this.box;
      if (at * ROW < scrollTop) this.box.scrollTop = at * ROW;
      else if ((at + 1) * ROW > scrollTop + clientHeight) this.box.scrollTop = (at + 1) * ROW - clientHeight;
    }
    this.draw();
  }

  update() {
    this.counts();
    this.draw();
  }

  counts() {
    const nav = document.getElementById("filters");
    const names = [[null, ["", "All", "Every photo"]], ...Object.entries(REASONS)];
    names.forEach(([reason, [sign, text, title]], index) => {
      let button = nav.children[index];
      if (!button) {
        button = document.createElement("button");
        button.append(`${sign} ${text}`.trim(), document.createElement("b"));
        button.title = title;
        button.addEventListener("click", () => {
          this.filter = reason;
          this.update();
        });
        nav.append(button);
      }
      const count = reason ? this.photos.filter((photo) => photo.reason === reason).length : this.photos.length;
      button.setAttribute("aria-pressed", String(this.filter === reason));
      button.lastChild.textContent = ` ${count}`;
    });
    const done = this.photos.filter((photo) => ["accepted", "held"].includes(photo.state)).length;
    const bar = document.querySelector("#progress progress");
    bar.max = Math.max(this.photos.length, 1);
    bar.value = done;
    document.querySelector("#progress span").textContent = `${done} of ${this.photos.length} decided`;
  }

  draw() {
    const shown = this.shown;
    this.list.style.height = `${shown.length * ROW}px`;
    const first = Math.max(Math.floor(this.box.scrollTop / ROW) - 1, 0);
    const last = Math.min(Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + 1, shown.length);
    const wanted = new Map(shown.slice(first, last).map((photo, index) => [photo.id, [photo, first + index]]));
    for (const [id, row] of this.rows) {
      if (!wanted.has(id)) {
        row.remove();
        this.rows.delete(id);
      }
    }
    let before = null;
    for (const [id, [photo, index]] of wanted) {
      const row = this.rows.get(id) ?? this.make(photo);
      this.fill(row, photo, index, shown.length);
      // In the order of the list: what the Tab key follows.
      const place = before ? before.nextSibling : this.list.firstChild;
      if (row !== place) this.list.insertBefore(row, place);
      before = row;
    }
  }

  make(photo) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const image = new Image();
    image.alt = "";
    const name = document.createElement("span");
    const state = document.createElement("span");
    const more = document.createElement("span");
    more.className = "state";
    name.className = "name";
    button.append(image, name, state, more);
    button.addEventListener("click", () => this.opened(photo.id));
    row.append(button);
    this.rows.set(photo.id, row);
    return row;
  }

  fill(row, photo, index, count) {
    row.style.top = `${index * ROW}px`;
    row.setAttribute("aria-setsize", count);
    row.setAttribute("aria-posinset", index + 1);
    const button = row.firstChild;
    const [image, name, state, more] = button.children;
    if (photo.id === this.current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    const source = `/api/photos/${photo.id}/preview/result?longest=168&v=${photo.record}-${photo.version}-${photo.state}`;
    // The photo that was asked for comes first; thumbnails follow.
    if (this.ready && image.getAttribute("src") !== source) image.src = source;
    name.textContent = photo.name;
    name.title = photo.name;
    const [sign, reason] = REASONS[photo.reason];
    const faces = photo.faces === 1 ? "1 face" : `${photo.faces} faces`;
    const who = photo.claim && photo.claim.client !== this.me ? `${photo.claim.editor || "another editor"} is on it · ` : "";
    state.replaceWith(badge(photo));
    more.textContent = `${who}${sign} ${reason}, ${faces}`;
  }
}
