// Renders the lines of standard input with SAM (npm sam-js) and Gnuspeech (npm
// @echogarden/gnuspeech-wasm) and prints rows of a manifest. Run by engines-more.sh.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [node, out] = process.argv.slice(2)
const require = createRequire(pathToFileURL(node + '/'))
const lines = readFileSync(0, 'utf8').trim().split('\n')
const row = (file, source, speaker) => console.log(`${file},synthetic,formant,${source},${speaker},en,0.5`)

const Sam = require('sam-js')
const sams = { sam: [72, 64, 128, 128], elf: [72, 64, 110, 160], robot: [92, 60, 190, 190], stuffy: [82, 72, 110, 105], lady: [82, 32, 145, 145] }
for (const [name, [speed, pitch, throat, mouth]] of Object.entries(sams)) {
  lines.slice(0, 5).forEach((text, i) => {
    const sam = new (Sam.default ?? Sam)({ speed, pitch, throat, mouth })
    const parts = text.replace(/[^a-zA-Z ,.?]/g, ' ').split(/(?<=[.?,])/).map(s => s.trim()).filter(Boolean)
    const samples = parts.flatMap(p => [...(sam.buf32(p) || []), ...new Array(4000).fill(0)])
    const b = Buffer.alloc(44 + 2 * samples.length)
    b.write('RIFF'); b.writeUInt32LE(36 + 2 * samples.length, 4); b.write('WAVEfmt ', 8)
    b.writeUInt32LE(16, 16); b.writeUInt16LE(1, 20); b.writeUInt16LE(1, 22); b.writeUInt32LE(22050, 24)
    b.writeUInt32LE(44100, 28); b.writeUInt16LE(2, 32); b.writeUInt16LE(16, 34); b.write('data', 36); b.writeUInt32LE(2 * samples.length, 40)
    samples.forEach((v, j) => b.writeInt16LE(Math.max(-32768, Math.min(32767, Math.round(v * 20000))), 44 + 2 * j))
    writeFileSync(`${out}/sam-${name}-${i}.wav`, b)
    row(`sam-${name}-${i}.wav`, 'local:sam', `sam-${name}`)
  })
}

const { synthesize } = await import(pathToFileURL(require.resolve('@echogarden/gnuspeech-wasm')))
for (const voice of ['male', 'female', 'large_child', 'small_child', 'baby']) {
  for (const [i, text] of lines.slice(0, 6).entries()) {
    try {
      const r = await synthesize(text, { voice, controlRate: 250, tempo: 1 })
      writeFileSync(`${out}/gnuspeech-${voice}-${i}.wav`, r.audioData)
      row(`gnuspeech-${voice}-${i}.wav`, 'local:gnuspeech', `gnuspeech-${voice}`)
    } catch (e) { console.error(`gnuspeech ${voice}: ${e}`) }
  }
}
