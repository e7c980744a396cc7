// Regions over the photo: drawn in pixels of the screen, so that outlines and handles keep their size.

import { center, halves, isEllipse, made, moved, resized, turn, words } from "./regions.js";

const SVG = "http://www.w3.org/2000/svg";
const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];
const CLICK = 4; // pixels of the screen that a hand moves while it clicks

function node(name, attributes, parent) {
  const made_ = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made_.setAttribute(key, value);
  parent?.append(made_);
  return made_;
}

/** desk: { stage, items(), selected, tool, editable(), select(key), toggle(key), change(key, shape), add(shape) } */
export class Overlay {
  constructor(desk) {
    this.desk = desk;
    this.svg = document.getElementById("overlay");
    this.nodes = new Map();
    this.handles = node("g", { "aria-hidden": "true" }, this.svg);
    this.pointers = new Map();
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.svg.addEventListener(kind, (event) => this.up(event, kind));
    this.svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Make a node for each region; focus stays where it is. */
  rebuild() {
    const items = this.desk.items();
    const keys = new Set(items.map((item) => item.key));
    for (const [key, group] of this.nodes) {
      if (!keys.has(key)) {
        group.remove();
        this.nodes.delete(key);
      }
    }
    items.forEach((item, index) => {
      let group = this.nodes.get(item.key);
      if (!group || group.dataset.ellipse !== String(isEllipse(item.area.shape))) {
        group?.remove();
        const ellipse = isEllipse(item.area.shape);
        group = node("g", { role: "button", tabindex: "0" }, null);
        group.dataset.key = item.key;
        group.dataset.ellipse = ellipse;
        for (const name of ["halo", "edge"]) node(ellipse ? "ellipse" : "rect", { class: name }, group);
        node("text", { "text-anchor": "middle", "aria-hidden": "true" }, group);
        group.addEventListener("focus", () => this.desk.select(item.key, false));
        this.svg.insertBefore(group, this.handles);
        this.nodes.set(item.key, group);
      }
      const state = item.kind === "drawn" ? "drawn" : item.concealed ? "concealed" : ["weak", "person", "burst"].includes(item.kind) ? "weak" : "bare";
      group.setAttribute("class", `region ${state}${item.key === this.desk.selected ? " selected" : ""}`);
      group.setAttribute("aria-pressed", String(item.concealed));
      group.setAttribute("aria-label", words(item, index + 1));
      const sign = { concealed: "", bare: " bare", weak: " ?", drawn: " drawn" }[state];
      group.querySelector("text").textContent = `${index + 1}${sign}`;
    });
    this.place();
  }

  place() {
    const { view } = this.desk.stage;
    const selected = this.desk.selected;
    this.handles.replaceChildren();
    for (const item of this.desk.items()) {
      const group = this.nodes.get(item.key);
      if (!group) continue;
      const shape = this.dragged?.key === item.key ? this.dragged.shape : item.area.shape;
      const [cx, cy] = center(shape), [rx, ry] = halves(shape);
      const [x, y] = [view.x + cx * view.scale, view.y + cy * view.scale];
      const [w, h] = [Math.max(rx * view.scale, 7), Math.max(ry * view.scale, 7)];
      for (const part of group.children) {
        if (part.tagName === "text") {
          part.setAttribute("x", x);
          part.setAttribute("y", y - h - 6);
          const shown = w > 14 || item.key === selected || !item.concealed;
          part.style.display = shown ? "" : "none";
        } else if (part.tagName === "ellipse") {
          for (const [name, value] of Object.entries({ cx: x, cy: y, rx: w, ry: h })) part.setAttribute(name, value);
          part.setAttribute("transform", `rotate(${shape.angle} ${x} ${y})`);
        } else {
          for (const [name, value] of Object.entries({ x: x - w, y: y - h, width: 2 * w, height: 2 * h })) part.setAttribute(name, value);
        }
      }
      if (item.key === selected && this.desk.editable()) {
        const t = turn(shape);
        for (const [sx, sy] of HANDLES) {
          const [u, v] = [sx * w, sy * h];
          const [hx, hy] = [x + u * Math.cos(t) - v * Math.sin(t), y + u * Math.sin(t) + v * Math.cos(t)];
          const handle = node("rect", { class: "handle", x: hx - 5, y: hy - 5, width: 10, height: 10, rx: 2 }, this.handles);
          handle.dataset.side = `${sx},${sy}`;
          handle.style.cursor = sx && sy ? (sx === sy ? "nwse-resize" : "nesw-resize") : sx ? "ew-resize" : "ns-resize";
        }
      }
    }
  }

  at(event) {
    const { left, top } = this.svg.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  down(event) {
    if (!this.desk.stage.photo || event.button === 2) return;
    this.svg.setPointerCapture(event.pointerId);
    const [x, y] = this.at(event);
    this.pointers.set(event.pointerId, [x, y]);
    if (this.pointers.size === 2) return this.startPinch();
    const side = event.target.dataset?.side?.split(",").map(Number);
    const key = event.target.closest?.(".region")?.dataset.key ?? (side && this.desk.selected);
    const drawing = this.desk.tool !== "select" && event.button === 0;
    const kind = event.button === 1 ? "pan" : side ? "resize" : drawing ? "draw" : key ? "move" : "pan";
    const item = this.desk.items().find((i) => i.key === key);
    this.drag = { kind, key, side, x, y, last: [x, y], shape: item?.area.shape, far: false };
    if (kind === "pan") this.svg.classList.add("panning");
    event.preventDefault();
  }

  move(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const [x, y] = this.at(event);
    this.pointers.set(event.pointerId, [x, y]);
    if (this.pinch) return this.pinched();
    const { drag } = this;
    if (!drag) return;
    drag.far ||= Math.hypot(x - drag.x, y - drag.y) >= CLICK;
    if (!drag.far) return;
    const { stage } = this.desk;
    const [dx, dy] = [(x - drag.x) / stage.view.scale, (y - drag.y) / stage.view.scale];
    if (drag.kind === "pan") {
      stage.pan(x - drag.last[0], y - drag.last[1]);
    } else if (drag.kind === "draw") {
      this.ghost(drag, x, y);
    } else if (this.desk.editable()) {
      const shape = drag.kind === "move" ? moved(drag.shape, dx, dy) : resized(drag.shape, ...drag.side, dx, dy, 2);
      this.dragged = { key: drag.key, shape };
      this.place();
    }
    drag.last = [x, y];
  }

  up(event, kind) {
    if (!this.pointers.delete(event.pointerId)) return;
    this.svg.classList.remove("panning");
    const { drag, dragged } = this;
    this.ghostNode?.remove();
    this.drag = this.dragged = this.ghostNode = null;
    if (this.pinch) {
      if (!this.pointers.size) this.pinch = null;
      return;
    }
    if (!drag || kind === "pointercancel") return this.place();
    if (drag.kind === "draw" && drag.far) this.desk.add(this.drawn(drag, ...drag.last));
    else if (dragged) this.desk.change(dragged.key, dragged.shape);
    else if (!drag.far && drag.key && drag.kind === "move") this.desk.clicked(drag.key);
    else if (!drag.far && !drag.key) this.desk.select(null);
  }

  drawn(drag, x, y) {
    const { stage } = this.desk;
    const [x0, y0] = stage.toPhoto(Math.min(x, drag.x), Math.min(y, drag.y));
    const [x1, y1] = stage.toPhoto(Math.max(x, drag.x), Math.max(y, drag.y));
    const empty = this.desk.tool === "ellipse" ? { cx: 0, cy: 0, rx: 0, ry: 0, angle: 0 } : { x: 0, y: 0, width: 0, height: 0 };
    return made(empty, (x0 + x1) / 2, (y0 + y1) / 2, Math.max((x1 - x0) / 2, 1), Math.max((y1 - y0) / 2, 1));
  }

  ghost(drag, x, y) {
    this.ghostNode?.remove();
    const [cx, cy, rx, ry] = [(x + drag.x) / 2, (y + drag.y) / 2, Math.abs(x - drag.x) / 2, Math.abs(y - drag.y) / 2];
    const shape = this.desk.tool === "ellipse"
      ? ["ellipse", { cx, cy, rx, ry }]
      : ["rect", { x: cx - rx, y: cy - ry, width: 2 * rx, height: 2 * ry }];
    this.ghostNode = node(shape[0], { ...shape[1], class: "ghost" }, this.svg);
  }

  startPinch() {
    this.drag = this.dragged = null;
    this.ghostNode?.remove();
    const [[ax, ay], [bx, by]] = this.pointers.values();
    this.pinch = { distance: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
  }

  pinched() {
    if (this.pointers.size < 2) return;
    const [[ax, ay], [bx, by]] = this.pointers.values();
    const now = { distance: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
    this.desk.stage.pan(now.x - this.pinch.x, now.y - this.pinch.y);
    this.desk.stage.zoom(now.distance / Math.max(this.pinch.distance, 1), now.x, now.y);
    this.pinch = now;
  }

  wheel(event) {
    event.preventDefault();
    if (!this.desk.stage.photo) return;
    const [x, y] = this.at(event);
    // Shift pans, as does a sideways movement of two fingers; everything else zooms, pinching included.
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.desk.stage.pan(-event.deltaX, -event.deltaY);
    else this.desk.stage.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
  }
}
