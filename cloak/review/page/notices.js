// What the page says for itself: a line above the photo, a word in passing, a question.

export const $ = (id) => document.getElementById(id);

/** A line that stays until it is answered or no longer true; "" takes it away. */
export function banner(text, button = "", act = null) {
  const element = $("banner");
  element.hidden = !text;
  element.firstElementChild.textContent = text;
  element.lastElementChild.hidden = !button;
  element.lastElementChild.textContent = button;
  element.lastElementChild.onclick = act;
}

let fading;

export function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("on");
  clearTimeout(fading);
  fading = setTimeout(() => $("toast").classList.remove("on"), 3500);
}

/** Open a dialog; what the button that closed it is worth. */
export function ask(id) {
  const dialog = $(id);
  if (dialog.open) return Promise.resolve("");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}
