// The desk: one photo at a time, what is done to it, and what the server says of it.

import { call, listen as listenToServer, picture } from "./api.js";
import { fillHelp, listen as listenToKeys } from "./keys.js";
import { Overlay } from "./overlay.js";
import { badge, Queue, REASONS } from "./queue.js";
import { center, changesOf, halves, History, moved, regionsOf, resized } from "./regions.js";
import { previewPath, Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const HEARTBEAT = 10_000;

class Desk {
  constructor() {
    this.tool = "select";
    this.selected = null;
    this.frame = 0;
    this.mine = false;
    this.saving = Promise.resolve();
    this.stage = new Stage(() => this.drawn(), (error) => this.refused(error));
    this.overlay = new Overlay(this);
    this.queue = new Queue((id) => this.open(id));
  }

  async start() {
    this.session = await call("GET", "/api/session");
    this.queue.me = this.session.client;
    $("folder").textContent = this.session.folder;
    document.title = `${this.session.folder}: cloak review`;
    $("effect").replaceChildren(
      new Option("as all others", ""), ...this.session.effects.map((name) => new Option(name, name)),
    );
    this.named();
    listenToServer({
      hello: () => this.connected(),
      photo: (photo) => this.heard(photo),
      queue: () => this.refresh(),
      lost: (forGood) => this.lost(forGood),
    });
    setInterval(() => this.photo && this.mine && this.claim().catch(() => {}), HEARTBEAT);
  }

  // ---- the queue

  async connected() {
    this.banner("");
    await this.refresh();
    const last = sessionStorage.getItem("photo");
    const open = this.photo?.id ?? (this.queue.photos.some((photo) => photo.id === last) ? last : null);
    const first = open ?? (this.queue.next(1, this.session.client, true) ?? this.queue.photos[0])?.id;
    if (first) await this.open(first, Boolean(this.photo));
  }

  lost(forGood) {
    this.mine = false;
    this.drawn();
    this.banner(forGood
      ? "The server was started anew: open the address that it printed. What you did is stored."
      : "The connection is lost; trying again. What you did is stored.");
  }

  async refresh() {
    this.queue.set(await call("GET", "/api/photos"));
    $("empty").hidden = Boolean(this.queue.photos.length);
    $("empty").textContent = "There is no photo in this folder's record.";
  }

  /** Another page, or a worker, did something. */
  async heard(photo) {
    this.queue.merge(photo);
    if (photo.id !== this.photo?.id) return;
    const theirs = photo.version > this.photo.version;
    const freed = !this.mine && !photo.claim;
    if ((theirs && !this.mine) || freed) await this.open(photo.id, true);
    else if (!theirs || photo.state !== this.photo.state) {
      this.photo = { ...this.photo, ...photo, version: Math.max(photo.version, this.photo.version) };
      this.about();
      this.stage.open(this.photo, this.frame);
    }
  }

  // ---- one photo

  async open(id, again = false) {
    if (!again && id === this.photo?.id) return;
    await this.saving;
    const opening = (this.opening = Symbol(id));
    const start = performance.now();
    this.queue.select(id);
    let photo;
    this.mine = true;
    try {
      photo = await call("POST", `/api/photos/${id}/claim`);
    } catch (error) {
      this.mine = false;
      if (error.reason !== "conflict") return this.refused(error);
      photo = await call("GET", `/api/photos/${id}`);
      if (opening === this.opening) this.banner(`${error.message}. You can look, not change. ${error.next}`);
    }
    if (opening !== this.opening) return;
    if (this.mine) this.banner("");
    const same = this.photo?.id === id;
    this.photo = photo;
    this.history = new History(regionsOf(photo));
    if (!same) {
      this.frame = 0;
      this.selected = null;
      sessionStorage.setItem("photo", id);
    }
    $("empty").hidden = true;
    $("saved").textContent = "";
    this.changed();
    await this.stage.open(photo, this.frame);
    performance.measure("opened", { start });
    document.body.dataset.opened = id;
    this.queue.ready = true;
    this.queue.draw();
    this.prefetch();
  }

  /** Have the next photo's preview made before it is asked for. */
  async prefetch() {
    const next = this.queue.next(1, this.session.client, true);
    if (!next) return;
    const address = await picture(previewPath(next, "result", 0)).catch(() => null);
    if (address) URL.revokeObjectURL(address);
  }

  async claim() {
    return call("POST", `/api/photos/${this.photo.id}/claim`);
  }

  editable() {
    return Boolean(this.photo) && this.mine;
  }

  items() {
    return this.history ? this.history.items.filter((item) => item.frame === null || item.frame === this.frame) : [];
  }

  item() {
    return this.items().find((item) => item.key === this.selected);
  }

  select(key, focus = true) {
    this.selected = key;
    this.changed();
    if (key && focus) this.overlay.nodes.get(key)?.focus({ preventScroll: true });
  }

  /** A click reveals or conceals a face; an area that was drawn is only selected, so that it can be resized. */
  clicked(key) {
    const item = this.items().find((i) => i.key === key);
    this.select(key);
    if (item.kind !== "drawn") this.toggle(key);
  }

  toggle(key) {
    const item = this.items().find((i) => i.key === key);
    if (item?.kind === "drawn") return this.remove(key);
    if (item) this.edit(key, { concealed: !item.concealed });
  }

  remove(key) {
    const item = this.items().find((i) => i.key === key);
    if (!item || item.kind !== "drawn") return;
    this.apply(this.history.items.filter((i) => i.key !== key));
    this.toast("Removed. Ctrl+Z brings it back.");
  }

  change(key, shape) {
    const item = this.items().find((i) => i.key === key);
    this.edit(key, { area: { ...item.area, shape }, concealed: true });
  }

  add(shape) {
    const key = `drawn-${Date.now()}`;
    const area = { shape, angle: 0, effect: null };
    const frame = this.photo.frames > 1 ? null : 0; // of an animation: in all its pictures
    this.tool = "select";
    this.selected = key;
    this.apply([...this.history.items, { key, kind: "drawn", frame, area, concealed: true }]);
    this.select(key);
  }

  edit(key, values) {
    this.apply(this.history.items.map((item) => (item.key === key ? { ...item, ...values } : item)));
  }

  apply(items) {
    if (!this.editable()) return this.toast("This photo is not yours to change now.");
    this.history.change(items);
    this.changed();
    this.save();
  }

  // ---- what the server keeps

  save() {
    this.pending = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), 120);
  }

  /** Store what was changed; one request at a time. */
  flush() {
    clearTimeout(this.timer);
    const id = this.photo?.id;
    this.saving = this.saving.then(async () => {
      if (!this.pending || this.photo?.id !== id) return;
      this.pending = false;
      $("saved").textContent = "Saving…";
      try {
        const body = { version: this.photo.version, changes: changesOf(this.history.items) };
        const photo = await call("PUT", `/api/photos/${id}/changes`, body);
        this.photo = { ...this.photo, ...photo };
        this.queue.merge(photo);
        $("saved").textContent = "Saved";
        this.about();
        this.stage.open(this.photo, this.frame);
      } catch (error) {
        $("saved").textContent = "Not saved";
        this.refused(error);
      }
    });
    return this.saving;
  }

  async verdict(kind, body = {}) {
    if (!this.editable()) return this.toast("This photo is not yours to decide now.");
    if (!this.session.editor) await this.askName();
    await this.flush();
    const { id, version, name } = this.photo;
    try {
      const photo = await call("POST", `/api/photos/${id}/${kind}`, { version, ...body });
      this.photo = { ...this.photo, ...photo };
      this.queue.merge(photo);
      this.about();
      this.toast(kind === "accept" ? `${name}: accepted` : `${name}: held back`);
      const next = this.queue.next(1, this.session.client, true);
      if (next) await this.open(next.id);
      else this.toast("Nothing is left to decide here.");
    } catch (error) {
      this.refused(error);
    }
  }

  refused(error) {
    if (error.status === 401) return this.lost(true);
    const load = error.reason === "conflict" && this.photo;
    this.banner(`${error.message} ${error.next ?? ""}`, load ? "Show what is stored" : "Close", () => {
      this.banner("");
      if (load) this.open(this.photo.id, true);
    });
  }

  async hold() {
    if (!this.editable()) return;
    $("reason").value = "";
    if ((await ask("hold-dialog")) === "hold") await this.verdict("hold", { reason: $("reason").value });
  }

  async askName() {
    $("name").value = this.session.editor;
    await ask("name-dialog");
    const { editor } = await call("PUT", "/api/session", { editor: $("name").value });
    this.session.editor = editor;
    this.named();
  }

  named() {
    $("editor").textContent = this.session.editor || "Your name?";
  }

  // ---- what is seen

  drawn() {
    this.overlay.place();
    const { view, mode, split } = this.stage;
    $("zoom").textContent = `${Math.round(view.scale * devicePixelRatio * 100)} %`;
    const compare = mode === "compare";
    $("divider").hidden = $("slider").hidden = !compare;
    $("divider").style.left = `${split * 100}%`;
    $("tag-original").hidden = mode === "result";
    $("tag-result").hidden = mode === "original";
    pressed("compare", compare);
    pressed("original", mode === "original");
  }

  changed() {
    this.overlay.rebuild();
    this.stage.draw();
    this.about();
    this.faces();
    for (const tool of ["select", "ellipse", "box"]) pressed(`tool:${tool}`, this.tool === tool);
    $("overlay").classList.toggle("draw", this.tool !== "select");
    action("undo").disabled = !this.history?.past.length;
    action("redo").disabled = !this.history?.future.length;
    $("frames").hidden = !(this.photo?.frames > 1);
    $("frames").querySelector("output").textContent = `${this.frame + 1} of ${this.photo?.frames}`;
  }

  about() {
    const { photo } = this;
    const name = document.createElement("strong");
    name.textContent = photo.name;
    const size = document.createElement("span");
    size.textContent = `${photo.width} × ${photo.height} pixels. ${REASONS[photo.reason][2]}.`;
    const lines = [name, badge(photo), size];
    const who = photo.by && `${photo.state === "held" ? "Held back" : "Accepted"} by ${photo.by}, ${when(photo.at)}`;
    const out = photo.published && photo.state === "waiting" && "Published as the run left it, until you accept or hold it back.";
    for (const text of [who, out, photo.why && `“${photo.why}”`, photo.failure]) {
      if (!text) continue;
      const line = document.createElement("span");
      line.textContent = text;
      if (text === photo.failure) line.className = "error";
      lines.push(line);
    }
    $("about").replaceChildren(...lines);
    for (const kind of ["accept", "hold"]) action(kind).disabled = !this.editable();
  }

  faces() {
    const items = this.items();
    const bare = items.filter((item) => !item.concealed).length;
    $("hint").textContent = items.length
      ? `${items.length - bare} concealed, ${bare} bare. Click one in the photo to switch it; draw over anything else.`
      : "Nothing was found. Draw over whatever must not be seen (E, R).";
    const list = document.querySelector("#faces ul");
    const focused = document.activeElement?.closest?.("#faces button")?.dataset.key;
    list.replaceChildren(
      ...items.map((item, index) => {
        const row = document.createElement("li");
        const button = document.createElement("button");
        button.dataset.key = item.key;
        button.className = item.key === this.selected ? "selected" : "";
        const [number, text, state] = ["b", "span", "span"].map((tag) => document.createElement(tag));
        number.textContent = index + 1;
        const score = document.createElement("small");
        const kind = { found: "Face", weak: "Weak hit", drawn: "Area" }[item.kind];
        score.textContent = item.kind === "drawn" ? "" : ` ${Math.round(item.score * 100)} % ${item.models.join(" + ")}`;
        text.append(kind, score);
        state.className = `badge ${item.concealed ? "good" : "warn"}`;
        state.textContent = item.concealed ? "▦ concealed" : "◉ bare";
        button.append(number, text, state);
        button.addEventListener("click", () => {
          this.reach(item);
          this.select(item.key, false);
          document.querySelector(`#faces button[data-key="${item.key}"]`)?.focus();
        });
        row.append(button);
        return row;
      }),
    );
    if (focused) document.querySelector(`#faces button[data-key="${focused}"]`)?.focus();
    const item = this.item();
    $("choice").hidden = !item?.concealed || !this.editable();
    if (item) {
      $("effect").value = item.area.effect ?? "";
      action("remove").hidden = item.kind !== "drawn";
    }
    list.querySelector(".selected")?.scrollIntoView({ block: "nearest" });
  }

  /** Bring a region into sight, large enough to be judged. */
  reach(item) {
    const [rx, ry] = halves(item.area.shape);
    const size = 2 * Math.max(rx, ry);
    const tooSmall = size * this.stage.view.scale < 60;
    const [x, y] = center(item.area.shape);
    const { view } = this.stage;
    const [sx, sy] = [view.x + x * view.scale, view.y + y * view.scale];
    const outside = sx < 40 || sy < 40 || sx > view.width - 40 || sy > view.height - 40;
    if (tooSmall || outside) this.stage.center(x, y, tooSmall ? size : 0);
  }

  banner(text, button = "", act = null) {
    const element = $("banner");
    element.hidden = !text;
    element.firstElementChild.textContent = text;
    element.lastElementChild.hidden = !button;
    element.lastElementChild.textContent = button;
    element.lastElementChild.onclick = act;
  }

  toast(text) {
    $("toast").textContent = text;
    $("toast").classList.add("on");
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => $("toast").classList.remove("on"), 3500);
  }

  // ---- actions, by key or button

  act(name, phase = "down", repeat = false) {
    const [kind, value] = name.split(":");
    if (kind === "help") return ask("help");
    if (!this.photo) return undefined;
    if (kind === "original") {
      if (!repeat) this.stage.show(phase === "down" ? "original" : "result");
      return undefined;
    }
    const item = this.item();
    const { stage } = this;
    const numbers = value?.split(",").map(Number);
    const acts = {
      next: () => this.step(1),
      previous: () => this.step(-1),
      accept: () => !repeat && this.verdict("accept"),
      hold: () => this.hold(),
      face: () => this.face(Number(value)),
      smallest: () => this.smallest(),
      toggle: () => this.selected && this.toggle(this.selected),
      tool: () => {
        this.tool = value;
        this.changed();
      },
      place: () => this.place(),
      nudge: () => (item ? this.nudge(item, ...numbers) : stage.pan(-40 * numbers[0], -40 * numbers[1])),
      size: () => item && this.size(item, ...numbers),
      effect: () => item && this.effect(item, 1),
      remove: () => item && this.remove(item.key),
      undo: () => this.travel("undo"),
      redo: () => this.travel("redo"),
      "zoom-in": () => stage.zoom(1.25),
      "zoom-out": () => stage.zoom(0.8),
      fit: () => stage.fit(),
      one: () => stage.zoom(1 / (stage.view.scale * devicePixelRatio)),
      "zoom-to": () => item && stage.center(...center(item.area.shape), 2 * Math.max(...halves(item.area.shape))),
      compare: () => stage.show(stage.mode === "compare" ? "result" : "compare"),
      split: () => this.split(stage.split + Number(value)),
      outlines: () => pressed("outlines", !$("overlay").classList.toggle("off")),
      frame: () => this.turn(Number(value)),
      nothing: () => {
        this.tool = "select";
        this.select(null);
        document.activeElement?.blur?.();
      },
    };
    return acts[kind]?.();
  }

  step(by) {
    const next = this.queue.next(by, this.session.client);
    if (next) this.open(next.id);
  }

  face(by) {
    const items = this.items();
    if (!items.length) return;
    const at = items.findIndex((item) => item.key === this.selected);
    const item = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : (at + by + items.length) % items.length];
    this.reach(item);
    this.select(item.key);
  }

  smallest() {
    const area = (item) => halves(item.area.shape)[0] * halves(item.area.shape)[1];
    const item = this.items().filter((i) => i.kind !== "drawn").sort((a, b) => area(a) - area(b))[0];
    if (!item) return;
    this.stage.center(...center(item.area.shape), 2 * Math.max(...halves(item.area.shape)));
    this.select(item.key);
  }

  place() {
    if (this.tool === "select") return;
    const { view } = this.stage;
    const [cx, cy] = this.stage.toPhoto(view.width / 2, view.height / 2);
    const r = (0.08 * Math.min(view.width, view.height)) / view.scale;
    this.add(this.tool === "ellipse"
      ? { cx, cy, rx: r, ry: 1.25 * r, angle: 0 }
      : { x: cx - 1.5 * r, y: cy - r, width: 3 * r, height: 2 * r });
  }

  nudge(item, dx, dy) {
    const step = Math.max(1, 1 / this.stage.view.scale);
    this.change(item.key, moved(item.area.shape, dx * step, dy * step));
  }

  size(item, w, h) {
    const step = Math.max(2, 4 / this.stage.view.scale);
    let shape = item.area.shape;
    for (const side of [-1, 1]) {
      if (w) shape = resized(shape, side, 0, (side * w * step) / 2, 0, 2);
      if (h) shape = resized(shape, 0, side, 0, (side * h * step) / 2, 2);
    }
    this.change(item.key, shape);
  }

  effect(item, by, name) {
    const names = [null, ...this.session.effects];
    const effect = by ? names[(names.indexOf(item.area.effect ?? null) + by) % names.length] : name || null;
    this.edit(item.key, { area: { ...item.area, effect }, concealed: true });
    this.toast(`Effect: ${effect ?? "as all others"}`);
  }

  travel(way) {
    if (!this.editable() || !this.history[way]()) return;
    if (!this.item()) this.selected = null;
    this.changed();
    this.save();
  }

  split(at) {
    this.stage.split = Math.min(Math.max(at, 0), 1);
    $("slider").querySelector("input").value = 100 * this.stage.split;
    this.stage.draw();
  }

  turn(by) {
    const frame = Math.min(Math.max(this.frame + by, 0), this.photo.frames - 1);
    if (frame === this.frame) return;
    this.frame = frame;
    this.selected = null;
    this.changed();
    this.stage.open(this.photo, frame, true);
  }
}

function action(name) {
  return document.querySelector(`[data-do="${name}"]`);
}

function pressed(name, on) {
  action(name).setAttribute("aria-pressed", String(on));
}

function when(at) {
  return new Date(at).toLocaleString();
}

/** Open a dialog; what the button that closed it is worth. */
function ask(id) {
  const dialog = $(id);
  if (dialog.open) return Promise.resolve("");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

function theme() {
  const dark = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark;
}

theme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
const desk = new Desk();
fillHelp($("keys"));
listenToKeys((name, phase, repeat) => desk.act(name, phase, repeat));
for (const button of document.querySelectorAll("[data-do]")) {
  if (button.dataset.do === "original") {
    button.addEventListener("pointerdown", () => desk.act("original", "down"));
    for (const kind of ["pointerup", "pointerleave"]) button.addEventListener(kind, () => desk.stage.mode === "original" && desk.act("original", "up"));
    button.addEventListener("click", (event) => event.detail === 0 && desk.stage.show(desk.stage.mode === "original" ? "result" : "original"));
  } else {
    button.addEventListener("click", () => desk.act(button.dataset.do));
  }
}
$("effect").addEventListener("change", (event) => desk.item() && desk.effect(desk.item(), 0, event.target.value));
$("slider").querySelector("input").addEventListener("input", (event) => desk.split(event.target.value / 100));
$("divider").addEventListener("pointerdown", (event) => $("divider").setPointerCapture(event.pointerId));
$("divider").addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  const { left, width } = $("stage").getBoundingClientRect();
  desk.split((event.clientX - left) / width);
});
$("editor").addEventListener("click", () => desk.askName());
$("help-open").addEventListener("click", () => desk.act("help"));
$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  theme();
});
$("invite").addEventListener("click", async () => {
  $("address").value = (await call("POST", "/api/invitations")).address;
  ask("invite-dialog");
  $("address").select();
});
desk.start().catch((error) => desk.refused(error));
