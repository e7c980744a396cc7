// What is told beside the photo: what it is, its faces and areas, the state of the tools.

import { $ } from "./notices.js";
import { badge, REASONS } from "./queue.js";
import { center, halves, KINDS } from "./regions.js";

export function action(name) {
  return document.querySelector(`[data-do="${name}"]`);
}

export function pressed(name, on) {
  action(name).setAttribute("aria-pressed", String(on));
}

/** The photo in words: what it is, why it is to be looked at, what was decided. */
export function showPhoto(desk) {
  const { photo } = desk;
  const name = document.createElement("strong");
  name.textContent = photo.name;
  const size = document.createElement("span");
  size.textContent = `${photo.width} × ${photo.height} pixels. ${REASONS[photo.reason][2]}.`;
  const lines = [name, badge(photo), size];
  const who = photo.by
    && `${photo.state === "held" ? "Held back" : "Accepted"} by ${photo.by}, ${new Date(photo.at).toLocaleString()}`;
  const out = photo.published && photo.state === "waiting" && "Published as the run left it, until you accept or hold it back.";
  const gone = photo.withdrawn.length > 0 && `Withdrawn with it, as they have its bytes: ${photo.withdrawn.join(", ")}.`;
  for (const text of [who, out, photo.why && `“${photo.why}”`, gone, photo.failure]) {
    if (!text) continue;
    const line = document.createElement("span");
    line.textContent = text;
    if (text === photo.failure) line.className = "error";
    lines.push(line);
  }
  $("about").replaceChildren(...lines);
  for (const kind of ["accept", "hold"]) action(kind).disabled = !desk.editable();
}

/** The list of faces and areas; the focus stays where it is. */
export function showFaces(desk) {
  const items = desk.items();
  const bare = items.filter((item) => !item.concealed).length;
  $("hint").textContent = items.length
    ? `${items.length - bare} concealed, ${bare} bare. Click one in the photo to switch it; draw over anything else.`
    : "Nothing was found. Draw over whatever must not be seen (E, R).";
  const list = document.querySelector("#faces ul");
  const button = (key) => document.querySelector(`#faces button[data-key="${key}"]`);
  const focused = document.activeElement?.closest?.("#faces button")?.dataset.key;
  list.replaceChildren(...items.map((item, index) => row(desk, item, index + 1, () => button(item.key)?.focus())));
  if (focused) button(focused)?.focus();
  const item = desk.item();
  $("choice").hidden = !item?.concealed || !desk.editable();
  if (item) {
    $("effect").value = item.area.effect ?? "";
    action("remove").hidden = item.kind !== "drawn";
  }
  list.querySelector(".selected")?.scrollIntoView({ block: "nearest" });
}

function row(desk, item, at, focus) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  button.dataset.key = item.key;
  button.className = item.key === desk.selected ? "selected" : "";
  const [number, text, state] = ["b", "span", "span"].map((tag) => document.createElement(tag));
  number.textContent = at;
  const score = document.createElement("small");
  const kind = KINDS[item.kind];
  const seen = item.kind === "burst" ? `concealed in ${item.neighbour}` : null;
  const models = item.models?.length > 1 ? `${item.models.length} models` : item.models?.[0];
  score.textContent = ` ${seen ?? (models ? `${Math.round(item.score * 100)} % ${models}` : "")}`;
  text.append(kind, score);
  text.title = seen ?? item.models?.join(" + ") ?? "";
  state.className = `badge ${item.concealed ? "good" : "warn"}`;
  state.textContent = item.concealed ? "▦ concealed" : "◉ bare";
  button.append(number, text, state);
  button.addEventListener("click", () => {
    desk.stage.reach(...center(item.area.shape), 2 * Math.max(...halves(item.area.shape)));
    desk.select(item.key, false);
    focus();
  });
  line.append(button);
  return line;
}

/** Which tool is in hand, and what can be undone. */
export function showTools(desk) {
  for (const tool of ["select", "ellipse", "box"]) pressed(`tool:${tool}`, desk.tool === tool);
  $("overlay").classList.toggle("draw", desk.tool !== "select");
  action("undo").disabled = !desk.history?.past.length;
  action("redo").disabled = !desk.history?.future.length;
  $("frames").hidden = !(desk.photo?.frames > 1);
  $("frames").querySelector("output").textContent = `${desk.frame + 1} of ${desk.photo?.frames}`;
}

/** How the photo is seen: scale, side, slider. */
export function showView({ view, mode, split }) {
  $("zoom").textContent = `${Math.round(view.scale * devicePixelRatio * 100)} %`;
  const compare = mode === "compare";
  $("divider").hidden = $("slider").hidden = !compare;
  $("divider").style.left = `${split * 100}%`;
  $("slider").querySelector("input").value = 100 * split;
  $("tag-original").hidden = mode === "result";
  $("tag-result").hidden = mode === "original";
  pressed("compare", compare);
  pressed("original", mode === "original");
}
