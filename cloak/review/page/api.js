// The server's side: requests, pictures, events.

// Names this tab. It survives a reload, so that a reload keeps what the tab had claimed; but it is stored only while the
// page is away: a tab that is duplicated takes the storage along, and two pages of one name would free each other's photo.
export const page = sessionStorage.getItem("page")
  ?? Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
sessionStorage.removeItem("page");
addEventListener("pagehide", () => sessionStorage.setItem("page", page));

/** What the server refuses, in its own words. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? "The server did not answer.");
    this.status = status;
    this.reason = document.reason;
    this.next = document.next ?? "";
  }
}

async function request(method, path, body, signal) {
  const headers = { "X-Cloak-Page": page };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The server cannot be reached.", reason: "offline" });
  }
  if (answer.ok) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

export async function call(method, path, body) {
  return (await request(method, path, body)).json();
}

/** A picture as an address of this page's own; whoever asked must let it go (URL.revokeObjectURL). */
export async function picture(path, signal) {
  const answer = await request("GET", path, undefined, signal);
  return URL.createObjectURL(await answer.blob());
}

/** Events, as long as the page lives; `on` maps their kinds to functions. The browser connects again by itself. */
export function listen(on) {
  const source = new EventSource(`/api/events?page=${page}`);
  for (const kind of ["hello", "photo", "queue", "withdrawn", "failed"]) {
    source.addEventListener(kind, (event) => on[kind](JSON.parse(event.data)));
  }
  source.onerror = () => on.lost(source.readyState === EventSource.CLOSED);
}
