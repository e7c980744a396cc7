// What is concealed in a photo, as it stands on the page: values that are never changed, so that undo is a list.

export const isEllipse = (shape) => "rx" in shape;

export function center(shape) {
  return isEllipse(shape) ? [shape.cx, shape.cy] : [shape.x + shape.width / 2, shape.y + shape.height / 2];
}

/** Half sizes along the shape's own axes. */
export function halves(shape) {
  return isEllipse(shape) ? [shape.rx, shape.ry] : [shape.width / 2, shape.height / 2];
}

export const turn = (shape) => (isEllipse(shape) ? (shape.angle * Math.PI) / 180 : 0);

export function made(shape, cx, cy, rx, ry) {
  if (isEllipse(shape)) return { ...shape, cx, cy, rx, ry };
  return { ...shape, x: cx - rx, y: cy - ry, width: 2 * rx, height: 2 * ry };
}

export function moved(shape, dx, dy) {
  const [cx, cy] = center(shape);
  return made(shape, cx + dx, cy + dy, ...halves(shape));
}

/** With the side or corner at (sx, sy), each -1, 0 or 1, moved by (dx, dy) pixels of the photo; the opposite one stays. */
export function resized(shape, sx, sy, dx, dy, least = 1) {
  const t = turn(shape), cos = Math.cos(t), sin = Math.sin(t);
  const u = dx * cos + dy * sin, v = dy * cos - dx * sin;
  const [cx, cy] = center(shape), [rx, ry] = halves(shape);
  const nx = Math.max(rx + (sx * u) / 2, least), ny = Math.max(ry + (sy * v) / 2, least);
  const mu = sx * (nx - rx), mv = sy * (ny - ry);
  return made(shape, cx + mu * cos - mv * sin, cy + mu * sin + mv * cos, nx, ny);
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const near = (a, b) => Math.hypot(center(a)[0] - center(b)[0], center(a)[1] - center(b)[1]) < 1.5;

/** All regions of a photo: found, too weak to be sure of, heads of people without a face, concealed in a neighbour of a
 * burst, and drawn; with what was changed about them. */
export function regionsOf(photo) {
  const items = [];
  for (const [kind, frames] of [["found", photo.found], ["weak", photo.weakFaces], ["person", photo.faceless]]) {
    frames.forEach((faces, frame) => {
      faces.forEach((face, index) => {
        const { box, score, models, area } = face;
        const concealed = kind === "found";
        items.push({ key: `${kind}-${frame}-${index}`, kind, frame, box, score, models, base: area, area, concealed });
      });
    });
  }
  photo.bare.forEach(({ box, neighbour, area }, index) => {
    items.push({ key: `burst-${index}`, kind: "burst", frame: 0, box, neighbour, base: area, area, concealed: false });
  });
  photo.changes.forEach((change, index) => {
    const of = (item) => (change.face
      ? item.kind === "found" && same(item.box, change.face)
      : item.kind !== "found" && near(item.base.shape, change.area.shape));
    const at = items.findIndex((item) => item.frame === change.frame && of(item));
    if (at >= 0) {
      items[at] = { ...items[at], concealed: Boolean(change.area), area: change.area ?? items[at].base };
    } else if (change.area) {
      items.push({ key: `drawn-${index}-${Date.now()}`, kind: "drawn", frame: change.frame, area: change.area, concealed: true });
    }
  });
  return items;
}

/** What differs from what was found, as the server stores it. */
export function changesOf(items) {
  const changes = [];
  for (const item of items) {
    const { kind, frame, box, area, base, concealed } = item;
    if (kind === "found" && !concealed) changes.push({ face: box, area: null, frame });
    else if (kind === "found" && !same(area, base)) changes.push({ face: box, area, frame });
    else if (kind !== "found" && concealed) changes.push({ face: null, area, frame });
  }
  return changes;
}

/** The regions with their past and future. */
export class History {
  constructor(items) {
    this.items = items;
    this.past = [];
    this.future = [];
  }

  change(items) {
    this.past.push(this.items);
    this.future = [];
    this.items = items;
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.items);
    this.items = this.past.pop();
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.items);
    this.items = this.future.pop();
    return true;
  }
}

/** What a region is called. */
export const KINDS = { found: "Face", weak: "Weak hit", person: "Person without a face", burst: "Place", drawn: "Area" };

/** What a region is, in words: for lists and screen readers. */
export function words(item, number) {
  const state = item.concealed ? "concealed" : "bare";
  if (item.kind === "drawn") return `Area ${number}, drawn, ${state}`;
  if (item.kind === "burst") return `Place ${number}, ${state}, concealed in ${item.neighbour}`;
  const score = `score ${Math.round(item.score * 100)} of 100, seen by ${item.models.join(" and ")}`;
  return `${KINDS[item.kind]} ${number}, ${state}, ${score}`;
}
