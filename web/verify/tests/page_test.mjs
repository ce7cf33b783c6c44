// The page in a real Chromium: what a person drops, pastes and sees. The page is served from loopback and
// also opened from the disk; any request but that for the page itself fails a test.
//   node page_test.mjs [--screenshots FOLDER]
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { contrastProblems } from './contrast.mjs'

const root = new URL('../../../', import.meta.url).pathname
const page_file = join(root, 'web/verify/dist/index.html')
const evidence = (name) => join(root, 'web/verify/tests/evidence', name)
const MODEL = join(root, 'models/tern-q8_0.gguf')
const WORSE = join(root, 'models/tern-worse-q8_0.gguf')
const VOCABULARY = evidence('tern.vocabulary.gguf')
const answer = readFileSync(evidence('answer.txt'), 'utf8').trim()
const screenshots = process.argv[2] === '--screenshots' ? process.argv[3] : null
const scratch = mkdtempSync(join(tmpdir(), 'assay-page-'))

const html = readFileSync(page_file)
const server = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end(html))
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const url = `http://127.0.0.1:${server.address().port}/`

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)
assert.ok(executablePath, 'no /usr/bin/chromium: run make setup')
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})

// A page that has loaded, and whatever it asked for or complained of since.
async function open(options = {}, address = url) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const noise = []
  page.on('request', (request) => {
    if (request.url() !== address && !/^(blob|data):/.test(request.url())) noise.push(`request: ${request.url()}`)
  })
  page.on('console', (message) => message.type() === 'error' && noise.push(message.text()))
  page.on('pageerror', (error) => noise.push(error.message))
  await page.goto(address)
  return {
    page,
    give: (...files) => page.setInputFiles('#files', files),
    headline: (text) => page.getByRole('heading', { level: 2, name: text }).waitFor({ timeout: 20000 }),
    text: () => page.locator('#result').innerText(),
    async shot(name) {
      if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true })
    },
    async close() {
      await context.close()
      assert.deepEqual(noise, [], 'requests and errors')
    },
  }
}

const HOLDS = 'The receipt holds.', BAD = 'This evidence does not hold.'
const NOTHING = 'This is not evidence that can be checked.'
const tests = {
  async valid_evidence_holds() {
    const p = await open()
    await p.shot('empty')
    await p.give(evidence('bundle.json'))
    await p.headline(HOLDS)
    assert.match(await p.text(), /the log's key is the bundle's word/)
    await p.give(evidence('keys.txt'), evidence('checkpoint.txt'))
    await p.page.getByText("signed by the log's key that you name").waitFor()
    assert.match(await p.text(), /cosigned by witness\.example\/w1, which you name/)
    assert.match(await p.text(), /same history of \d+ entries as the checkpoint you brought/)
    await p.page.locator('.chain li.good', { hasText: 'Logged' }).waitFor()
    // What is not proven is said also of what holds.
    for (const title of ['What is proven', 'What is not proven', 'What even a proven answer does not mean'])
      assert.ok(await p.page.getByRole('heading', { name: title }).isVisible(), title)
    await p.shot('valid')
    await p.close()
  },

  async every_form_is_taken() {
    const p = await open()
    for (const name of ['receipt.json', 'receipt.cose', 'receipt.dsse', 'answer.bundle.json']) {
      await p.give(evidence(name))
      await p.page.locator('.exact dd code').first().waitFor({ state: 'attached' })
      await p.headline(HOLDS)
    }
    await p.give(evidence('receipt.json'), evidence('opening.json'))
    await p.page.getByText('answer tokens are what the provider signed').waitFor()
    await p.close()
  },

  async a_quote_with_other_typography_is_the_signed_text() {
    const p = await open()
    await p.give(evidence('bundle.json'), evidence('keys.txt'), MODEL)
    await p.page.fill('#quote', `“${answer.replace(/ (\S+)$/, '\u00a0$1').replaceAll('. ', '.\n\n')}”`)
    await p.headline('These are the words that were signed.')
    assert.match(await p.text(), /Once white space and quotation marks are made alike, the quotation is what provider/)
    assert.match(await p.text(), /The model file given has this execution id/)
    await p.shot('quoted')
    await p.page.fill('#quote', answer)
    await p.page.locator('.banner', { hasText: 'To the letter' }).waitFor()
    const spoken = answer.split(' ')
    await p.page.fill('#quote', `${spoken.slice(0, 9).join(' ')} […] ${spoken.slice(-5).join(' ')}`)
    await p.headline('These words are part of the answer that was signed.')
    await p.close()
  },

  async a_changed_word_is_shown() {
    const p = await open()
    await p.give(evidence('answer.bundle.json'), VOCABULARY)
    await p.page.fill('#quote', answer.replace('fox', 'wolf'))
    await p.headline('These are not the words that were signed.')
    assert.match(await p.page.locator('.signed-text del').innerText(), /wolf/)
    assert.match(await p.page.locator('.signed-text ins').first().innerText(), /fox/)
    await p.shot('changed-word')
    await p.close()
  },

  async words_need_the_vocabulary() {
    const p = await open()
    await p.give(evidence('bundle.json'))
    await p.page.fill('#quote', answer)
    await p.headline('The receipt holds; the words could not be compared.')
    assert.match(await p.text(), /Drop the model file/)
    await p.give(evidence('receipt.json'))
    await p.page.locator('.banner', { hasText: 'The answer is not disclosed here' }).waitFor()
    await p.close()
  },

  async a_tampered_receipt_does_not_hold() {
    const p = await open()
    const receipt = JSON.parse(readFileSync(evidence('receipt.json'), 'utf8'))
    receipt.receipt.message.count = String(Number(receipt.receipt.message.count) - 1)
    const path = join(scratch, 'tampered.json')
    writeFileSync(path, JSON.stringify(receipt))
    await p.give(path)
    await p.headline(BAD)
    assert.match(await p.text(), /What contradicts/)
    await p.page.locator('.chain li.bad', { hasText: 'Answered' }).waitFor()
    await p.shot('tampered')
    await p.close()
  },

  async another_model_does_not_hold() {
    const p = await open()
    await p.give(evidence('bundle.json'), WORSE)
    await p.headline(BAD)
    assert.match(await p.text(), /the model file given is not the one this receipt is about/i)
    await p.page.locator('.chain li.bad', { hasText: 'Weights' }).waitFor()
    await p.close()
  },

  async a_forked_log_does_not_hold() {
    const p = await open()
    await p.give(evidence('bundle.json'), evidence('keys.txt'), evidence('fork.checkpoint.txt'))
    await p.headline(BAD)
    assert.match(await p.text(), /signed two different histories/)
    await p.page.locator('.chain li.bad', { hasText: 'Logged' }).waitFor()
    await p.shot('forked')
    await p.close()
  },

  async another_checkpoint_on_the_chain_does_not_hold() {
    const p = await open()
    const bundle = JSON.parse(readFileSync(evidence('bundle.json'), 'utf8'))
    bundle.anchor.root = `0x${'01'.repeat(32)}`
    const path = join(scratch, 'anchored.json')
    writeFileSync(path, JSON.stringify(bundle))
    await p.give(path)
    await p.headline(BAD)
    assert.match(await p.text(), /the anchor is of another checkpoint/i)
    await p.page.locator('.chain li.bad', { hasText: 'Anchored' }).waitFor()
    await p.close()
  },

  async garbage_is_no_evidence() {
    const p = await open()
    for (const [name, bytes] of [['noise', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 2654435761) >>> 24))],
      ['empty', ''], ['text', 'hello'], ['json', '{"assay":"bundle/0"}'], ['deep', '['.repeat(1e5)], ['cose', Buffer.from('d284', 'hex')]]) {
      writeFileSync(join(scratch, name), bytes)
      await p.give(join(scratch, name))
      await p.headline(NOTHING)
      await p.page.getByRole('button', { name: `Take ${name} away` }).click()
      await p.page.getByText('The verdict will be here.').waitFor()
    }
    writeFileSync(join(scratch, 'bad.gguf'), 'GGUF and then nothing')
    await p.give(evidence('bundle.json'), join(scratch, 'bad.gguf'))
    await p.page.getByText('The model file was not taken').waitFor()
    await p.headline(HOLDS)
    await p.close()
  },

  async it_works_from_a_disk_without_a_network() {
    const p = await open({ offline: true }, `file://${page_file}`)
    await p.give(evidence('bundle.json'), MODEL)
    await p.page.fill('#quote', answer)
    await p.headline('These are the words that were signed.')
    await p.close()
  },

  async a_file_can_be_dropped() {
    const p = await open()
    const transfer = await p.page.evaluateHandle((text) => {
      const out = new DataTransfer()
      out.items.add(new File([text], 'dropped.json'))
      return out
    }, readFileSync(evidence('bundle.json'), 'utf8'))
    await p.page.dispatchEvent('#drop', 'drop', { dataTransfer: transfer })
    await p.headline(HOLDS)
    await p.close()
  },

  async the_keyboard_is_enough() {
    const p = await open()
    const focused = () => p.page.evaluate(() => (document.activeElement === document.body ? 'nothing' : document.activeElement.id) || document.activeElement.ariaLabel || document.activeElement.textContent.trim())
    const seen = []
    const tab = async () => {
      await p.page.keyboard.press('Tab')
      seen.push(await focused())
      const visible = await p.page.evaluate(() => {
        const e = document.activeElement
        const shown = e.id === 'files' ? document.getElementById('drop') : e
        return getComputedStyle(shown).outlineStyle !== 'none'
      })
      assert.ok(visible, `focus is not seen on ${seen.at(-1)}`)
    }
    await tab()
    await tab()
    await p.give(evidence('bundle.json'))
    await p.headline(HOLDS)
    for (let i = 0; i < 4; ++i) await tab()
    assert.deepEqual(seen, ['Skip to the verdict', 'files', 'Take bundle.json away', 'quote', 'Keys you trust (optional)', 'The exact values'])
    const remove = p.page.getByRole('button', { name: 'Take bundle.json away' })
    await remove.focus()
    await p.page.keyboard.press('Enter')
    await p.page.getByText('The verdict will be here.').waitFor()
    assert.equal(await focused(), 'files')
    await p.close()
  },

  async contrast_is_AA_in_light_and_dark() {
    for (const colorScheme of ['light', 'dark'])
      for (const [name, files, quote] of [['holds', ['bundle.json', 'keys.txt'], answer], ['differs', ['bundle.json'], answer.replace('fox', 'dog')],
        ['forked', ['bundle.json', 'fork.checkpoint.txt'], '']]) {
        const p = await open({ colorScheme, reducedMotion: 'reduce' })
        await p.give(...files.map(evidence), VOCABULARY)
        await p.page.fill('#quote', quote)
        await p.page.locator(quote ? '.comparison' : '.banner.bad').waitFor()
        await p.page.evaluate(() => document.querySelectorAll('details').forEach((d) => (d.open = true)))
        assert.deepEqual(await p.page.evaluate(contrastProblems), [], `${colorScheme}, ${name}`)
        await p.shot(`${name}-${colorScheme}`)
        await p.close()
      }
  },

  async a_phone_shows_it_all() {
    for (const colorScheme of ['light', 'dark']) {
      const p = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme })
      await p.shot(`phone-empty-${colorScheme}`)
      await p.give(evidence('bundle.json'), evidence('keys.txt'), VOCABULARY)
      await p.page.fill('#quote', answer.split(' ').slice(3, 20).join(' '))
      await p.headline('These words are part of the answer that was signed.')
      await p.page.evaluate(() => document.querySelectorAll('details').forEach((d) => (d.open = true)))
      const { wide, small } = await p.page.evaluate(() => ({
        wide: document.documentElement.scrollWidth - innerWidth,
        small: [...document.querySelectorAll('button')].filter((b) => b.getBoundingClientRect().height < 44).map((b) => b.textContent),
      }))
      assert.equal(wide, 0, 'pixels beyond the screen')
      assert.deepEqual(small, [], 'buttons too small for a finger')
      await p.shot(`phone-${colorScheme}`)
      await p.close()
    }
  },
}

for (const [name, run] of Object.entries(tests)) {
  try {
    await run()
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error.message).split('\n').slice(0, 6).join(' ')}`)
    process.exitCode = 1
  }
}
await browser.close()
server.close()
rmSync(scratch, { recursive: true })
