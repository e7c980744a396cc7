// A tus server with our hook: node server.mjs PORT DIRECTORY, the service in CLOAK_SERVER and CLOAK_TOKEN.
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

import { cloak } from '../../../integrations/tus/on-upload-finish.mjs'

const [port, directory] = process.argv.slice(2)
const datastore = new FileStore({ directory })
const server = new Server({ path: '/files', datastore, ...cloak({ datastore }) })
server.listen({ host: '127.0.0.1', port: Number(port) })
