// The open photo as the server has it: whose it is, what of it is stored, what was decided.

import { call } from "./api.js";

const HEARTBEAT = 10_000; // the server takes a claim for lost after 45 s without one
const PAUSE = 120; // a series of changes is one request
const AGAIN = 2_000;

export class Record {
  /**
   * desk: { told(photo): the server answered, saving(words), refused(error), open(id, again) }
   * me: this page, as the server names it.
   */
  constructor(desk, me) {
    this.desk = desk;
    this.me = me;
    this.photo = null;
    this.online = false;
    this.sending = Promise.resolve(true);
    setInterval(() => this.mine && this.renew(), HEARTBEAT);
  }

  /** Whether this page may change the photo: the server's word, never a guess. */
  get mine() {
    return this.online && this.photo?.claim?.client === this.me;
  }

  /** What is on the screen: a decision about anything else is refused. */
  get seen() {
    return { version: this.photo.version, record: this.photo.record };
  }

  /** Claim a photo, or else see what another page does to it: [photo, why it is not ours or null]. */
  async take(id) {
    try {
      return [await call("POST", `/api/photos/${id}/claim`), null];
    } catch (error) {
      if (error.reason !== "conflict") throw error;
      return [await call("GET", `/api/photos/${id}`), error];
    }
  }

  /** A sign of life. If the claim is somebody else's by now (this machine slept), the photo is opened again. */
  async renew() {
    const { id } = this.photo;
    try {
      await call("POST", `/api/photos/${id}/claim`);
    } catch (error) {
      if (error.reason === "conflict" && this.photo.id === id) this.desk.open(id, true);
    }
  }

  /** Store changes, soon. */
  save(changes) {
    this.pending = { id: this.photo.id, changes };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE);
  }

  /** All that was sent is answered, and what is not yet stored is stored; false if it is not. */
  flush() {
    clearTimeout(this.timer);
    this.sending = this.sending.then(() => !this.pending || this.send());
    return this.sending;
  }

  /** Store what a lost connection kept back; the claim may have been lost with it. */
  async resume() {
    if (this.pending) await this.take(this.pending.id).catch(() => {});
    return this.flush();
  }

  async send() {
    const sent = this.pending;
    this.pending = null;
    this.desk.saving("Saving…");
    try {
      const body = { ...this.seen, changes: sent.changes };
      this.desk.told(await call("PUT", `/api/photos/${sent.id}/changes`, body));
      this.desk.saving("Saved");
      return true;
    } catch (error) {
      this.desk.saving("Not saved");
      if (error.reason === "offline") {
        this.pending ??= sent;
        this.timer = setTimeout(() => this.resume(), AGAIN);
      }
      this.desk.refused(error);
      return false;
    }
  }

  /** Accept or hold back, after all that is to be stored; false if that was refused. */
  decide(kind, body) {
    this.flush();
    this.sending = this.sending.then((stored) => stored && this.post(kind, body));
    return this.sending;
  }

  async post(kind, body) {
    const { id } = this.photo;
    try {
      this.desk.told(await call("POST", `/api/photos/${id}/${kind}`, { ...this.seen, ...body }));
      return true;
    } catch (error) {
      this.desk.refused(error);
      return false;
    }
  }
}
