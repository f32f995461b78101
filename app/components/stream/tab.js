// A tab's end of the event stream, one for all components in it: `globalThis.tinymodelLive`. `openHub` of hub.js stands
// before this text. What components use:
//
//   hub.current    status of the run that trains or trained last, null if there is none, undefined before it is known
//   hub.statuses   name → status of the watched runs;  hub.gone: names of those that were deleted or renamed
//   hub.teacher    what the presenter shows, as Python put it into `stream.hub.teacher`, or null
//   hub.lost       whether the server has been out of reach for some seconds; it comes back by itself
//   hub.onStatus(listener)        is called after any of these changed; returns what ends it
//   hub.rows(name)                {steps: [columns], epochs: [rows], known} of a watched run; known: whether any came
//   hub.onRows(name, listener)    watches a run; listener(message) after new rows, listener(null) after a reset

function openTab() {
  const runs = new Map()  // name → {steps: [columns], epochs: [rows], listeners}
  const statusListeners = new Set()
  const hub = { current: undefined, statuses: {}, gone: [], teacher: null, lost: false, shared: null, version: VERSION }
  let say = null, url = '', script = '', timer = null, away = false

  const empty = () => ({ steps: [[], [], [], []], epochs: [], known: false })
  const get = (name) => {
    if (!runs.has(name)) runs.set(name, { ...empty(), listeners: new Set() })
    return runs.get(name)
  }
  const notify = () => { for (const listener of [...statusListeners]) listener() }

  function receive(message) {
    if (message.kind === 'rows') take(message)
    else if (message.kind === 'status') {
      const { current, runs: shown, gone, teacher } = message
      Object.assign(hub, { current, statuses: shown, gone, teacher })
      notify()
    } else if (message.kind === 'lost') { hub.lost = message.lost; notify() }
    else if (message.kind === 'ping') say({ kind: 'pong' })
    else if (message.kind === 'dropped') watch()  // this tab was frozen for long
  }

  function take({ run: name, reset, steps, epochs }) {
    const run = runs.get(name)
    if (!run) return
    if (reset) Object.assign(run, empty())
    for (const row of steps) row.forEach((value, column) => run.steps[column].push(value))
    run.epochs.push(...epochs)
    run.known = true
    for (const listener of [...run.listeners]) listener(reset ? null : { steps, epochs })
  }

  function watch() {
    clearTimeout(timer)
    if (!say || away) return
    const names = [...runs.keys()].filter((name) => runs.get(name).listeners.size)
    for (const name of runs.keys()) if (!names.includes(name)) runs.delete(name)
    say({ kind: 'watch', url, names, status: statusListeners.size > 0 })
  }

  const schedule = () => { clearTimeout(timer); timer = setTimeout(watch, 30) }

  function leave() {
    if (away) return
    say?.({ kind: 'bye' })
    away = true
  }
  function comeBack() {
    if (!away) return
    away = false
    watch()
  }

  function share() {
    const worker = new SharedWorker(script, { name: 'tinymodel' })  // throws in some private windows
    const { port } = worker
    const giveUp = () => {
      if (hub.shared !== null) return
      worker.onerror = port.onmessage = null
      port.postMessage({ kind: 'bye' })
      alone()
    }
    worker.onerror = giveUp
    const patience = setTimeout(giveUp, 10000)
    port.onmessage = ({ data }) => {
      if (data.kind === 'welcome') { hub.shared = true; clearTimeout(patience) }
      receive(data)
    }
    say = (message) => port.postMessage(message)
    const id = 'tinymodel-tab-' + Math.random().toString(36).slice(2)
    globalThis.navigator.locks?.request(id, () => {
      say({ kind: 'lock', id })
      return new Promise(() => {})
    }).catch(() => {})
    watch()
  }

  // Without a shared worker: a stream of this tab's own. A browser has only six connections to a host, so a hidden tab
  // gives its one back.
  function alone() {
    hub.shared = false
    const own = openHub()
    const send = (message) => receive(message)
    say = (message) => own.receive(send, message)
    let hiding = null
    document.addEventListener('visibilitychange', () => {
      clearTimeout(hiding)
      if (document.hidden) hiding = setTimeout(leave, 10000)
      else comeBack()
    })
    if (!document.hidden) watch()
    else leave()
  }

  addEventListener('pagehide', leave)
  addEventListener('pageshow', comeBack)
  return Object.assign(hub, {
    rows: (name) => get(name),
    connect(events, worker) {
      if (say) return
      url = new URL(events, document.baseURI).href
      script = new URL(worker, document.baseURI).href
      try {
        share()
      } catch {
        alone()
      }
    },
    onRows(name, listener) {
      get(name).listeners.add(listener)
      schedule()
      return () => { runs.get(name)?.listeners.delete(listener); schedule() }
    },
    onStatus(listener) {
      statusListeners.add(listener)
      schedule()
      return () => { statusListeners.delete(listener); schedule() }
    },
  })
}

if (globalThis.tinymodelLive?.version !== VERSION) globalThis.tinymodelLive = openTab()  // also after an update
const hub = globalThis.tinymodelLive
