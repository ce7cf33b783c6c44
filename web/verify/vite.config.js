// One self-contained HTML file: script, worker, styles and the module are inside it, so that it works
// offline, from a disk as from any host, and can be kept and hashed as one thing.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { defineConfig } from 'vite'

const MODULE = process.env.ASSAY_PAGE_MODULE ?? '../../build/page/verify.wasm'

// import wasm from 'virtual:module' → the module, gzip in base64.
const module = () => ({
  name: 'assay-module',
  resolveId: (id) => (id === 'virtual:module' ? `\0${id}` : undefined),
  load(id) {
    if (id !== '\0virtual:module') return
    const packed = gzipSync(readFileSync(new URL(MODULE, import.meta.url)), { level: 9 })
    return `export default '${packed.toString('base64')}'`
  },
})

// Script and styles into the page, and a policy that lets exactly them run and nothing be fetched.
const oneFile = () => ({
  name: 'assay-one-file',
  enforce: 'post',
  generateBundle(_, bundle) {
    const html = Object.values(bundle).find((f) => f.fileName.endsWith('.html'))
    let source = html.source
    const hashes = []
    for (const file of Object.values(bundle)) {
      if (file === html) continue
      const name = file.fileName
      if (name.endsWith('.css')) {
        source = source.replace(new RegExp(`<link[^>]*${name}[^>]*>`), () => `<style>${file.source}</style>`)
      } else {
        const code = file.code.replaceAll('</script', '<\\/script').trim()
        hashes.push(`'sha256-${createHash('sha256').update(code).digest('base64')}'`)
        const tag = new RegExp(`<script[^>]*${name}[^>]*></script>`)
        source = source.replace(tag, '').replace('</body>', () => `<script type="module">${code}</script></body>`)
      }
      delete bundle[name]
    }
    const policy = `default-src 'none'; script-src ${hashes.join(' ')} 'wasm-unsafe-eval' blob:; ` +
      `worker-src blob: data:; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`
    html.source = source.replace('<meta charset="utf-8">',
      (tag) => `${tag}<meta http-equiv="Content-Security-Policy" content="${policy}">`)
  },
})

export default defineConfig({
  base: './',
  publicDir: false,
  build: { target: 'es2022', assetsInlineLimit: 1e9, modulePreload: false, outDir: 'dist' },
  worker: { format: 'iife', plugins: () => [module()] },
  plugins: [module(), oneFile()],
})
