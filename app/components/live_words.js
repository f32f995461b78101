// Words and figures, and how elements are made: for all that is live. `hub` of stream/tab.js stands before this text.

const percent = (x) => (x == null ? '–' : (100 * x).toFixed(1) + ' %')
const number = (x, digits = 3) => (x == null ? '–' : Number(x).toFixed(digits))
const rate = (x) => (x == null ? '–' : x === 0 ? '0' : x >= 0.01 ? x.toFixed(4) : x.toExponential(1))
const epochsOf = (status) => `epoch ${status.epoch} of ${status.epochs}`

function duration(seconds) {
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  if (s < 600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`
  const minutes = Math.round(s / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`
  return `${Math.round(hours / 24)} days`
}

function element(tag, className, parent, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text != null) node.textContent = text
  parent?.append(node)
  return node
}

const WORDS = {
  running: 'training', paused: 'paused', stopped: 'stopped', interrupted: 'interrupted', failed: 'failed',
  finished: 'finished', gone: 'deleted or renamed',
}
const active = (status) => status && (status.status === 'running' || status.status === 'paused')

function word(status) {
  if (active(status) && status.requested === 'stop') return 'stopping …'
  if (status.status === 'running' && status.requested === 'pause') return 'pausing …'
  return WORDS[status.status] ?? status.status
}

function replayWords(replay) {
  const state = replay.ended ? 'at its end' : replay.playing ? '' : 'paused'
  const speed = replay.speed === 1 ? 'as fast as it was' : `${replay.speed} times as fast`
  return ['Replay', state || speed].join(', ')
}

const LOST = 'The connection to the server is lost: trying again …'

function lostLine(root) {
  const line = element('p', 'tm-lost', root)
  line.setAttribute('role', 'status')
  line.hidden = true
  const show = () => { line.hidden = !hub.lost; line.textContent = hub.lost ? LOST : '' }
  show()
  return show
}

// Watches the rows of one name after another: what is drawn stays until the new one's rows are there.
function watchRows(listener) {
  let name = null, stop = () => {}
  return {
    see(next) {
      if (next === name) return
      stop()
      name = next
      stop = hub.onRows(name, listener)
      if (hub.rows(name).known) listener(null)
    },
    close() { stop() },
  }
}
