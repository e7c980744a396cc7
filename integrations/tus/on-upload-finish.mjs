// The hook for @tus/server: onUploadFinish makes a photo clean in its place, or removes it and refuses the upload.

import { Refusal, clean, settings } from './cloak.mjs'

/**
 * Options for `new Server`: spread them in.
 *
 *     const datastore = new FileStore({ directory: '/srv/quarantine' })
 *     const server = new Server({ path: '/files', datastore, ...cloak({ datastore }) })
 *
 * To do something of your own with the clean photo, call `onUploadFinish` first and go on only if it does not throw.
 */
export function cloak({ datastore, ...options }) {
  const chosen = settings(options)
  return {
    async onUploadFinish(_request, upload) {
      try {
        if (upload.storage?.type !== 'file') {
          throw new Refusal(500, 'This server keeps uploads where cloak cannot replace them. It needs a FileStore.')
        }
        await clean(upload.storage.path, (length) => resize(datastore.configstore, upload, length), chosen)
      } catch (error) {
        // An upload that stays would look finished to a client that asks again.
        await datastore.remove(upload.id)
        throw error
      }
      return {}
    },

    /** @tus/server serves finished uploads, and an upload is finished before it is clean. */
    async onIncomingRequest(request) {
      if (request.method === 'GET') throw { status_code: 404, body: 'Not found\n' }
    },
  }
}

async function resize(configstore, upload, length) {
  const info = await configstore.get(upload.id)
  info.size = length
  await configstore.set(upload.id, info)
  upload.size = upload.offset = length
}
