// Everything by keyboard; the help overlay is this very list.

export const KEYS = [
  ["j", "J", "Next photo", "next"],
  ["k", "K", "Previous photo", "previous"],
  ["a", "A", "Accept, and go on", "accept"],
  ["h", "H", "Hold back, with a reason", "hold"],
  ["f", "F", "Next face", "face:1"],
  ["shift+f", "Shift F", "Previous face", "face:-1"],
  ["s", "S", "Smallest face", "smallest"],
  [" ", "Space", "Reveal or conceal the selected face", "toggle"],
  ["t", "T", "The same", "toggle"],
  ["v", "V", "Select and move", "tool:select"],
  ["e", "E", "Draw an ellipse", "tool:ellipse"],
  ["r", "R", "Draw a rectangle", "tool:box"],
  ["enter", "Enter", "Place one in the middle, while drawing", "place"],
  ["arrowleft", "← → ↑ ↓", "Move the selected area, or the photo", "nudge:-1,0"],
  ["arrowright", "", "", "nudge:1,0"],
  ["arrowup", "", "", "nudge:0,-1"],
  ["arrowdown", "", "", "nudge:0,1"],
  ["shift+arrowleft", "Shift ← → ↑ ↓", "The same, further", "nudge:-10,0"],
  ["shift+arrowright", "", "", "nudge:10,0"],
  ["shift+arrowup", "", "", "nudge:0,-10"],
  ["shift+arrowdown", "", "", "nudge:0,10"],
  ["alt+arrowleft", "Alt ← → ↑ ↓", "Narrower, wider, higher, lower", "size:-1,0"],
  ["alt+arrowright", "", "", "size:1,0"],
  ["alt+arrowup", "", "", "size:0,1"],
  ["alt+arrowdown", "", "", "size:0,-1"],
  ["x", "X", "Next effect for the selected area", "effect"],
  ["delete", "Del", "Remove a drawn area", "remove"],
  ["backspace", "", "", "remove"],
  ["ctrl+z", "Ctrl Z", "Undo", "undo"],
  ["ctrl+shift+z", "Ctrl Shift Z", "Redo", "redo"],
  ["ctrl+y", "", "", "redo"],
  ["+", "+ −", "Zoom", "zoom-in"],
  ["=", "", "", "zoom-in"],
  ["-", "", "", "zoom-out"],
  ["0", "0", "Whole photo", "fit"],
  ["1", "1", "One pixel for one pixel", "one"],
  ["z", "Z", "Zoom to the selected face", "zoom-to"],
  ["o", "O (held)", "The original", "original"],
  ["c", "C", "Compare with a slider", "compare"],
  ["[", "[ ]", "Move the slider", "split:-0.05"],
  ["]", "", "", "split:0.05"],
  ["b", "B", "Outlines on or off", "outlines"],
  [",", ", .", "Pictures of a file with several", "frame:-1"],
  [".", "", "", "frame:1"],
  ["escape", "Esc", "Select nothing", "nothing"],
  ["?", "?", "These keys", "help"],
];

const known = new Map(KEYS.map(([key, , , action]) => [key, action]));

function name(event) {
  let key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  // What a key prints already tells whether shift was held, but for letters and arrows.
  const shift = event.shiftKey && (/^[a-z]$/.test(key) || key.startsWith("arrow"));
  if (event.altKey) key = `alt+${key}`;
  if (shift) key = `shift+${key}`;
  return command ? `ctrl+${key}` : key;
}

/** Calls `act(action, "down" | "up")`; returns whether the key did something. */
export function listen(act) {
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (document.querySelector("dialog[open]") || target.matches("input:not([type=range]), textarea, select")) return;
    const action = known.get(name(event));
    if (!action) return;
    // A button that has the focus is pressed by Space and Enter, as everywhere.
    if ([" ", "Enter"].includes(event.key) && target.closest("button")) return;
    if (target.matches("input") && event.key.startsWith("Arrow")) return;
    if (target.closest("#rows") && event.key.startsWith("Arrow") && !event.altKey) return;
    event.preventDefault();
    act(action, "down", event.repeat);
  });
  document.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "o") act("original", "up");
  });
}

export function fillHelp(element) {
  element.replaceChildren(
    ...KEYS.filter(([, shown]) => shown).map(([, shown, text]) => {
      const line = document.createElement("p");
      const key = document.createElement("kbd");
      key.textContent = shown;
      line.append(text, key);
      return line;
    }),
  );
}
