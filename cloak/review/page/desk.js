// The desk: one photo at a time, what is done to it, and what others do to it meanwhile.

import { call, listen, picture } from "./api.js";
import { $, banner, toast } from "./notices.js";
import { Overlay } from "./overlay.js";
import { showFaces, showPhoto, showTools, showView } from "./panel.js";
import { Queue } from "./queue.js";
import { Record } from "./record.js";
import { changesOf, History, regionsOf } from "./regions.js";
import { previewPath, Stage } from "./stage.js";
import { showEditor } from "./verdict.js";

export class Desk {
  constructor() {
    this.tool = "select";
    this.selected = null;
    this.frame = 0;
    this.gone = "";
    this.stage = new Stage(() => this.drawn(), (error) => this.refused(error));
    this.overlay = new Overlay(this);
    this.queue = new Queue((id) => this.open(id));
  }

  async start() {
    this.session = await call("GET", "/api/session");
    this.record = new Record(this, this.session.client);
    this.queue.me = this.session.client;
    $("folder").textContent = this.session.folder;
    document.title = `${this.session.folder}: cloak review`;
    showEditor(this);
    listen({
      hello: () => this.connected().catch((error) => this.refused(error)),
      photo: (photo) => this.heard(photo),
      queue: () => this.refresh().catch((error) => this.refused(error)),
      withdrawn: ({ name, names }) => {
        this.gone += `Withdrawn with ${name}, as they have its bytes: ${names.join(", ")}. `;
        this.quiet();
      },
      failed: ({ words }) => (this.failure = words),
      lost: (forGood) => this.lost(forGood),
    });
  }

  get photo() {
    return this.record?.photo;
  }

  // ---- the connection

  async connected() {
    this.record.online = true;
    this.failure = "";
    this.quiet();
    await this.refresh();
    const last = sessionStorage.getItem("photo");
    const open = this.photo?.id ?? (this.queue.photos.some((photo) => photo.id === last) ? last : null);
    const first = open ?? (this.queue.next(1, true) ?? this.queue.photos[0])?.id;
    if (!first) return;
    await this.open(first, Boolean(this.photo));
  }

  lost(forGood) {
    this.record.online = false;
    this.changed();
    const stored = this.record.pending ? "Your last change is not stored." : "What you did is stored.";
    banner(forGood
      ? `The server was started anew: open the address that it printed. ${stored}`
      : `${this.failure || "The connection is lost; trying again."} ${stored}`);
  }

  async refresh() {
    this.queue.set(await call("GET", "/api/photos"));
    const open = this.queue.photos.find((photo) => photo.id === this.photo?.id);
    if (open && open.record !== this.photo.record) this.heard(open);
    $("empty").hidden = Boolean(this.queue.photos.length);
    $("empty").textContent = "There is no photo in this folder's record.";
  }

  /** Another page, or a worker, did something. */
  heard(photo) {
    this.queue.merge(photo);
    if (photo.id !== this.photo?.id) return undefined;
    if (this.opening) {
      this.news = photo; // what is being fetched may be older than this, or newer
      return undefined;
    }
    const theirs = photo.claim?.client !== this.record.me && photo.version > this.photo.version;
    const another = photo.record !== this.photo.record; // a run has treated it again: nobody has seen that yet
    // A photo that lies open on a desk and is nobody's is for whoever asks first. One request: its answer says whose it
    // is now, and only a further event, of another page that took or left it, can lead to another.
    if (theirs || another || !photo.claim) return this.open(photo.id, true);
    if (photo.version >= this.photo.version) this.told(photo);
    return undefined;
  }

  /** The server's word on the photo that is open. */
  told(photo) {
    this.queue.merge(photo);
    this.record.photo = { ...this.photo, ...photo };
    showPhoto(this);
    this.stage.open(this.photo, this.frame);
  }

  /** Nothing is wrong: the line above the photo says at most what was withdrawn, until somebody has read it. */
  quiet() {
    banner(this.gone, "Close", () => banner((this.gone = "")));
  }

  saving(words) {
    $("saved").textContent = words;
  }

  refused(error) {
    if (error.status === 401) return this.lost(true);
    const load = error.reason === "conflict" && this.photo;
    const words = error.next ? `${error.message}. ${error.next}` : error.message;
    return banner(words, load ? "Show what is stored" : "Close", () => {
      banner("");
      if (load) this.open(this.photo.id, true);
    });
  }

  // ---- opening

  async open(id, again = false) {
    if (!again && id === this.photo?.id) return;
    const start = performance.now();
    const opening = (this.opening = Symbol(id));
    let taken = false;
    try {
      // What cannot be stored is not left behind; `refused` has said so.
      const stored = await (again ? this.record.resume() : this.record.flush());
      if (stored || again) taken = await this.take(id, stored, () => opening === this.opening);
    } catch (error) {
      this.refused(error);
    }
    if (opening !== this.opening) return;
    const { news } = this;
    this.opening = this.news = null;
    if (news?.id === this.photo?.id) this.heard(news);
    if (taken) await this.show(start);
  }

  async take(id, stored, wanted) {
    this.queue.select(id);
    const [photo, refusal] = await this.record.take(id);
    if (!wanted()) return false;
    if (refusal) banner(`${refusal.message}. You can look, not change. ${refusal.next}`);
    else if (stored) this.quiet();
    if (this.photo?.id !== id) {
      this.frame = 0;
      this.selected = null;
      sessionStorage.setItem("photo", id);
    }
    this.record.photo = photo;
    $("effect").replaceChildren(
      new Option("as all others", ""), ...photo.effects.map((name) => new Option(name, name)),
    );
    this.queue.merge(photo);
    this.history = new History(regionsOf(photo));
    $("empty").hidden = true;
    this.saving("");
    this.changed();
    return true;
  }

  async show(start) {
    const { id } = this.photo;
    await this.stage.open(this.photo, this.frame);
    if (id !== this.photo.id) return;
    performance.clearMeasures("opened");
    performance.measure("opened", { start });
    document.body.dataset.opened = id;
    this.queue.ready = true;
    this.queue.draw();
    this.prefetch();
  }

  /** Have the next photo's preview made before it is asked for. */
  async prefetch() {
    const next = this.queue.next(1, true);
    if (!next) return;
    const address = await picture(previewPath(next, "result", 0)).catch(() => null);
    if (address) URL.revokeObjectURL(address);
  }

  // ---- the regions

  editable() {
    return Boolean(this.record?.mine);
  }

  items() {
    return this.history ? this.history.items.filter((item) => item.frame === null || item.frame === this.frame) : [];
  }

  item(key = this.selected) {
    return this.items().find((item) => item.key === key);
  }

  select(key, focus = true) {
    this.selected = key;
    this.changed();
    if (key && focus) this.overlay.nodes.get(key)?.focus({ preventScroll: true });
  }

  /** A click reveals or conceals a face; an area that was drawn is only selected, so that it can be resized. */
  clicked(key) {
    this.select(key);
    if (this.item(key).kind !== "drawn") this.toggle(key);
  }

  toggle(key) {
    const item = this.item(key);
    if (item?.kind === "drawn") this.remove(key);
    else if (item) this.edit(key, { concealed: !item.concealed });
  }

  remove(key) {
    if (this.item(key)?.kind !== "drawn") return;
    if (this.apply(this.history.items.filter((item) => item.key !== key))) toast("Removed. Ctrl+Z brings it back.");
  }

  change(key, shape) {
    this.edit(key, { area: { ...this.item(key).area, shape }, concealed: true });
  }

  add(shape) {
    const key = `drawn-${Date.now()}`;
    const area = { shape, angle: 0, effect: null };
    const frame = this.photo.frames > 1 ? null : 0; // of an animation: in all its pictures
    this.tool = "select";
    this.apply([...this.history.items, { key, kind: "drawn", frame, area, concealed: true }]);
    this.select(key);
  }

  edit(key, values) {
    return this.apply(this.history.items.map((item) => (item.key === key ? { ...item, ...values } : item)));
  }

  apply(items) {
    if (!this.editable()) {
      toast("This photo is not yours to change now.");
      return false;
    }
    this.history.change(items);
    this.changed();
    this.record.save(changesOf(items));
    return true;
  }

  /** Undo or redo. */
  travel(way) {
    if (!this.editable() || !this.history[way]()) return;
    if (!this.item()) this.selected = null;
    this.changed();
    this.record.save(changesOf(this.history.items));
  }

  /** To another picture of a file with several. */
  turn(by) {
    const frame = Math.min(Math.max(this.frame + by, 0), this.photo.frames - 1);
    if (frame === this.frame) return;
    this.frame = frame;
    this.selected = null;
    this.changed();
    this.stage.open(this.photo, frame, true);
  }

  // ---- what is seen

  drawn() {
    this.overlay.place();
    showView(this.stage);
  }

  changed() {
    this.overlay.rebuild();
    this.stage.draw();
    if (this.photo) showPhoto(this);
    showFaces(this);
    showTools(this);
  }
}
