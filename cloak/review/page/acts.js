// What keys and buttons do to the desk.

import { $, ask, toast } from "./notices.js";
import { pressed } from "./panel.js";
import { center, halves, moved, resized } from "./regions.js";
import { hold, verdict } from "./verdict.js";

/** One act by its name, such as "face:1"; `phase` is "down" or "up", `repeat` that the key is held. */
export function act(desk, name, phase = "down", repeat = false) {
  const [kind, value] = name.split(":");
  if (kind === "help") return ask("help");
  if (!desk.photo) return undefined;
  const { stage } = desk;
  const item = desk.item();
  const numbers = value?.split(",").map(Number);
  const acts = {
    next: () => step(desk, 1),
    previous: () => step(desk, -1),
    accept: () => !repeat && verdict(desk, "accept"),
    hold: () => hold(desk),
    face: () => face(desk, Number(value)),
    smallest: () => smallest(desk),
    toggle: () => item && desk.toggle(item.key),
    tool: () => {
      desk.tool = value;
      desk.changed();
    },
    place: () => place(desk),
    nudge: () => (item ? nudge(desk, item, ...numbers) : stage.pan(-40 * numbers[0], -40 * numbers[1])),
    size: () => item && size(desk, item, ...numbers),
    effect: () => item && nextEffect(desk, item),
    remove: () => item && desk.remove(item.key),
    undo: () => desk.travel("undo"),
    redo: () => desk.travel("redo"),
    "zoom-in": () => stage.zoom(1.25),
    "zoom-out": () => stage.zoom(0.8),
    fit: () => stage.fit(),
    one: () => stage.zoom(1 / (stage.view.scale * devicePixelRatio)),
    "zoom-to": () => item && stage.center(...center(item.area.shape), extent(item)),
    original: () => !repeat && stage.show(phase === "down" ? "original" : "result"),
    compare: () => stage.show(stage.mode === "compare" ? "result" : "compare"),
    split: () => stage.divide(stage.split + Number(value)),
    outlines: () => pressed("outlines", !$("overlay").classList.toggle("off")),
    frame: () => desk.turn(Number(value)),
    nothing: () => {
      desk.tool = "select";
      desk.select(null);
      document.activeElement?.blur?.();
    },
  };
  return acts[kind]?.();
}

/** Give an area an effect of its own; "" takes it away. */
export function setEffect(desk, item, name) {
  const effect = name || null;
  const done = desk.edit(item.key, { area: { ...item.area, effect }, concealed: true });
  if (done) toast(`Effect: ${effect ?? "as all others"}`);
}

function nextEffect(desk, item) {
  const names = ["", ...desk.photo.effects];
  setEffect(desk, item, names[(names.indexOf(item.area.effect ?? "") + 1) % names.length]);
}

const extent = (item) => 2 * Math.max(...halves(item.area.shape));

function step(desk, by) {
  const next = desk.queue.next(by);
  if (next) desk.open(next.id);
}

function face(desk, by) {
  const items = desk.items();
  if (!items.length) return;
  const at = items.findIndex((item) => item.key === desk.selected);
  const item = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : (at + by + items.length) % items.length];
  desk.stage.reach(...center(item.area.shape), extent(item));
  desk.select(item.key);
}

function smallest(desk) {
  const area = (item) => halves(item.area.shape)[0] * halves(item.area.shape)[1];
  const item = desk.items().filter((i) => i.kind !== "drawn").sort((a, b) => area(a) - area(b))[0];
  if (!item) return;
  desk.stage.center(...center(item.area.shape), extent(item));
  desk.select(item.key);
}

function place(desk) {
  if (desk.tool === "select") return;
  const { view } = desk.stage;
  const [cx, cy] = desk.stage.toPhoto(view.width / 2, view.height / 2);
  const r = (0.08 * Math.min(view.width, view.height)) / view.scale;
  desk.add(desk.tool === "ellipse"
    ? { cx, cy, rx: r, ry: 1.25 * r, angle: 0 }
    : { x: cx - 1.5 * r, y: cy - r, width: 3 * r, height: 2 * r });
}

function nudge(desk, item, dx, dy) {
  const pixels = Math.max(1, 1 / desk.stage.view.scale);
  desk.change(item.key, moved(item.area.shape, dx * pixels, dy * pixels));
}

function size(desk, item, w, h) {
  const pixels = Math.max(2, 4 / desk.stage.view.scale);
  let shape = item.area.shape;
  for (const side of [-1, 1]) {
    if (w) shape = resized(shape, side, 0, (side * w * pixels) / 2, 0, 2);
    if (h) shape = resized(shape, 0, side, 0, (side * h * pixels) / 2, 2);
  }
  desk.change(item.key, shape);
}
