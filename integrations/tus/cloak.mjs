// What both hooks of tus share: a photo out to the service, a clean photo back, and its place on the disk taken.
// It needs nothing but Node.js 20.

import { open, readFile, rename, rm } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'

const STATUSES = ['concealed', 'no-face', 'perturbed'] // The last only where the operator's own pipeline says so.
const ATTEMPTS = 3 // A busy service says when to come again.

/** A photo may not be kept. Its `body` is for the person who uploads, its `status_code` for the client. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message)
    this.status_code = status
    this.body = `${message}\n`
  }
}

/** Settings, each from the environment unless given: CLOAK_SERVER, CLOAK_TOKEN, CLOAK_PIPELINE. */
export function settings({ address, token, pipeline } = {}) {
  const { CLOAK_SERVER, CLOAK_TOKEN, CLOAK_PIPELINE } = process.env
  return {
    address: (address ?? CLOAK_SERVER ?? 'http://127.0.0.1:8571').replace(/\/+$/, ''),
    token: token ?? CLOAK_TOKEN ?? '',
    pipeline: pipeline ?? CLOAK_PIPELINE ?? 'cms',
  }
}

/** The bytes of a photo, made safe to publish by the service. Throws a `Refusal`. */
export async function anonymize(photo, chosen) {
  for (let attempt = 1; ; attempt++) {
    const { response, data } = await ask(photo, chosen)
    const wait = Number(response.headers.get('retry-after'))
    if (response.status === 503 && wait > 0 && attempt < ATTEMPTS) {
      await setTimeout(1000 * Math.min(wait, 10))
      continue
    }
    if (response.status !== 200) throw refusal(response, data)
    // The report is what tells cloak's answer from that of any other server at this address.
    const { status, verified } = parse(response.headers.get('cloak-report'))
    const image = response.headers.get('content-type')?.startsWith('image/')
    if (!STATUSES.includes(status) || !verified?.length || !image || data.length === 0) {
      throw new Refusal(503, 'What answers at the address of the cloak service is not cloak.')
    }
    // fetch takes an answer in chunks that breaks off for a whole one where the connection ends with it.
    if (Number(response.headers.get('content-length')) !== data.length) {
      throw new Refusal(503, 'The answer of the cloak service is not whole, or does not say its length. A proxy must pass Content-Length on.')
    }
    return data
  }
}

async function ask(photo, { address, token, pipeline }) {
  try {
    const response = await fetch(`${address}/v1/anonymize?pipeline=${encodeURIComponent(pipeline)}`, {
      method: 'POST',
      body: photo,
      redirect: 'error', // A photo goes where the operator said, and nowhere else.
      signal: AbortSignal.timeout(120_000), // The service's own deadline ends before.
      headers: {
        'Content-Type': 'application/octet-stream',
        ...(token && { Authorization: `Bearer ${token}` }),
      },
    })
    return { response, data: Buffer.from(await response.arrayBuffer()) }
  } catch {
    throw new Refusal(503, 'The service that makes photos safe to publish does not answer. Upload the photo again later.')
  }
}

/**
 * Put a clean photo in the place of an uploaded one.
 *
 * `resize` tells the store the new length before the file has it: a client could otherwise see the upload as
 * unfinished and append the rest of the original.
 */
export async function replace(path, photo, resize) {
  const beside = `${path}.clean`
  try {
    const file = await open(beside, 'w', 0o600)
    try {
      await file.writeFile(photo)
      await file.sync()
    } finally {
      await file.close()
    }
    await resize(photo.length)
    await rename(beside, path)
  } finally {
    await rm(beside, { force: true })
  }
}

/** Make the file of a finished upload clean. Throws a `Refusal`. */
export async function clean(path, resize, options) {
  try {
    await replace(path, await anonymize(await readFile(path), options), resize)
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(500, 'The photo could not be made safe to publish, because the server failed.')
  }
}

function refusal(response, data) {
  if (response.status === 401 || response.status === 403) {
    return new Refusal(503, "The service that makes photos safe to publish does not accept this server's token.")
  }
  const problem = parse(data.toString())
  const words = [problem.detail, problem.next].filter((text) => typeof text === 'string' && text)
  const reason = words.map((text) => `${text.slice(0, 300).replace(/\.$/, '')}.`).join(' ') || `HTTP ${response.status}.`
  return new Refusal(response.status, `The photo was not kept, because it could not be made safe to publish: ${reason}`)
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}
