// The last word on a photo, and whose it is.

import { call } from "./api.js";
import { $, ask, toast } from "./notices.js";

/** Accept or hold back the open photo, and go on to the next that nobody decided or has. */
export async function verdict(desk, kind, body = {}) {
  if (!desk.editable()) return toast("This photo is not yours to decide now.");
  if (!desk.session.editor) await askName(desk);
  const { id, name } = desk.photo;
  if (!(await desk.record.decide(kind, body))) return undefined;
  toast(kind === "accept" ? `${name}: accepted` : `${name}: held back`);
  if (desk.opening || desk.photo.id !== id) return undefined; // the editor went on meanwhile
  const next = desk.queue.next(1, true);
  return next ? desk.open(next.id) : toast("Nothing is left to decide here.");
}

export async function hold(desk) {
  if (!desk.editable()) return;
  $("reason").value = "";
  if ((await ask("hold-dialog")) === "hold") await verdict(desk, "hold", { reason: $("reason").value });
}

export async function askName(desk) {
  $("name").value = desk.session.editor;
  await ask("name-dialog");
  const { editor } = await call("PUT", "/api/session", { editor: $("name").value });
  desk.session.editor = editor;
  showEditor(desk);
}

export function showEditor(desk) {
  $("editor").textContent = desk.session.editor || "Your name?";
}
