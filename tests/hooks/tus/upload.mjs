// A tus client: node upload.mjs ENDPOINT FILE OPTIONS. Prints what came of it, as JSON.
import { readFile } from 'node:fs/promises'

import { Upload } from 'tus-js-client'

const [endpoint, file, options] = process.argv.slice(2)
const done = (result) => console.log(JSON.stringify({ url: upload.url, ...result }))
const upload = new Upload(await readFile(file), {
  endpoint,
  retryDelays: [100, 200, 300],
  metadata: { filename: 'photo.jpg', filetype: 'image/jpeg' },
  ...JSON.parse(options),
  onSuccess: () => done({ finished: true }),
  onError: (error) =>
    done({ finished: false, status: error.originalResponse?.getStatus(), body: error.originalResponse?.getBody() }),
})
upload.start()
