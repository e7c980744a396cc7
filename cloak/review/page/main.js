// The page begins here: keys, buttons and dialogs are bound to the desk.

import { act, setEffect } from "./acts.js";
import { call } from "./api.js";
import { Desk } from "./desk.js";
import { fillHelp, listen } from "./keys.js";
import { $, ask } from "./notices.js";
import { askName } from "./verdict.js";

const desk = new Desk();

function theme() {
  const dark = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark;
}

theme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
fillHelp($("keys"));
listen((name, phase, repeat) => act(desk, name, phase, repeat));

for (const button of document.querySelectorAll("[data-do]:not([data-do=original])")) {
  button.addEventListener("click", () => act(desk, button.dataset.do));
}

// Shown while the button is held; a press of the keyboard on it switches.
const original = document.querySelector("[data-do=original]");
original.addEventListener("pointerdown", () => act(desk, "original", "down"));
for (const kind of ["pointerup", "pointerleave"]) {
  original.addEventListener(kind, () => desk.stage.mode === "original" && act(desk, "original", "up"));
}
original.addEventListener("click", (event) => {
  if (event.detail === 0) act(desk, "original", desk.stage.mode === "original" ? "up" : "down");
});

$("effect").addEventListener("change", (event) => desk.item() && setEffect(desk, desk.item(), event.target.value));
$("slider").querySelector("input").addEventListener("input", (event) => desk.stage.divide(event.target.value / 100));
$("divider").addEventListener("pointerdown", (event) => $("divider").setPointerCapture(event.pointerId));
$("divider").addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  const { left, width } = $("stage").getBoundingClientRect();
  desk.stage.divide((event.clientX - left) / width);
});

$("editor").addEventListener("click", () => askName(desk));
$("help-open").addEventListener("click", () => act(desk, "help"));
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
