// The browser's end of stream.py: one event stream a tab, whose rows are kept here, so that a component that comes
// later is drawn at once.

const LIMIT = 6000  // points of a curve that a browser draws without effort

function openHub() {
  const runs = new Map()  // name → {steps: [columns], epochs: [rows], listeners}
  const statusListeners = new Set()
  let source = null, opened = '', lastId = '', timer = null, url = ''
  const hub = { current: undefined, statuses: {}, gone: [], teacher: null }

  const get = (name) => {
    if (!runs.has(name)) runs.set(name, { steps: [[], [], [], []], epochs: [], listeners: new Set() })
    return runs.get(name)
  }

  function open() {
    const wanted = [...runs.keys()].filter((name) => runs.get(name).listeners.size)
    for (const name of runs.keys()) if (!wanted.includes(name)) runs.delete(name)
    const anybody = wanted.length || statusListeners.size
    const key = anybody && !document.hidden ? JSON.stringify(wanted.sort()) : ''
    if (key === opened && (!source || source.readyState !== EventSource.CLOSED)) return
    source?.close()
    source = null
    opened = key
    if (!key) return  // a hidden tab gives its connection back: a browser has only six for a host
    const query = wanted.map((name) => 'run=' + encodeURIComponent(name))
    if (lastId) query.push('after=' + encodeURIComponent(lastId))
    source = new EventSource(url + '?' + query.join('&'))
    source.addEventListener('rows', (event) => take(JSON.parse(event.data), event.lastEventId))
    source.addEventListener('status', (event) => {
      const { current, runs: shown, gone, teacher } = JSON.parse(event.data)
      Object.assign(hub, { current, statuses: shown, gone, teacher })
      for (const listener of [...statusListeners]) listener()
    })
    source.onerror = () => { if (source?.readyState === EventSource.CLOSED) schedule(3000) }
  }

  function take(message, id) {
    lastId = id
    const run = get(message.run)
    if (message.reset) { run.steps = [[], [], [], []]; run.epochs = [] }
    for (const row of message.steps) row.forEach((value, column) => run.steps[column].push(value))
    run.epochs.push(...message.epochs)
    let reset = message.reset
    if (run.steps[0].length > LIMIT) {
      run.steps = run.steps.map((column) => column.filter((_, i) => i % 2 || i === column.length - 1))
      reset = true
    }
    for (const listener of [...run.listeners]) listener(reset ? null : message)
  }

  function schedule(delay = 120) {  // components come and go together: wait for all of them
    clearTimeout(timer)
    timer = setTimeout(open, delay)
  }

  document.addEventListener('visibilitychange', () => schedule(document.hidden ? 10000 : 0))
  return Object.assign(hub, {
    rows: (name) => get(name),
    connect(address) { url = address; schedule() },
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

const hub = (globalThis.tinymodelLive ??= openHub())
