// The hub: the one event stream of a browser, for all tabs that talk to it. It keeps the rows, so that a tab that comes
// later has everything at once. The same object runs in the worker that tabs share, or, where browsers have none, in the
// page itself.
//
// A tab says    {kind: 'watch', url, names, status}  what it shows; again whenever that changes
//               {kind: 'pong'}                        that it lives
//               {kind: 'lock', id}                    a Web Lock that it holds for as long as it lives
//               {kind: 'bye'}                         that it shows nothing more
// and is told   {kind: 'welcome'}                     after its first word
//               {kind: 'rows', run, reset, steps, epochs}
//               {kind: 'status', current, runs, gone, teacher}
//               {kind: 'lost', lost}                  whether the server has been out of reach for some seconds
//               {kind: 'ping'}, {kind: 'dropped'}     it did not answer: it may watch again

function openHub() {
  const LIMIT = 6000  // points of a curve that a browser draws without effort
  const TICK = 2500, PING = 6  // milliseconds; every how many ticks tabs are asked whether they live
  const SILENCE = 12000  // milliseconds without a word from the server, which speaks every two seconds
  const PATIENCE = 4000  // milliseconds before a lost connection is told

  const runs = new Map()  // name → {position, steps: [rows], epochs: [rows]}
  const tabs = new Map()  // its `send` → {names, status, unanswered}
  let source = null, opened = [], url = '', status = null
  let openTimer = null, ticker = null, ticks = 0
  let heard = 0, failures = 0, failedAt = 0, lost = false

  const wanted = () => [...new Set([...tabs.values()].flatMap((tab) => tab.names))].sort()
  const anybody = () => [...tabs.values()].some((tab) => tab.names.length || tab.status)
  const broadcast = (message) => { for (const send of [...tabs.keys()]) send(message) }

  function receive(send, message) {
    if (message.kind === 'watch') watch(send, message)
    else if (message.kind === 'pong') { if (tabs.has(send)) tabs.get(send).unanswered = 0 }
    else if (message.kind === 'bye') drop(send)
    else if (message.kind === 'lock') {
      // Granted when the tab is no more, however it ended. There are no locks on a page that came over plain http from
      // another machine: then the pings find out, within a minute.
      globalThis.navigator?.locks?.request(message.id, () => drop(send)).catch(() => {})
    }
  }

  function watch(send, { url: address, names, status: wantsStatus }) {
    url = address
    const before = tabs.get(send)
    tabs.set(send, { names, status: wantsStatus, unanswered: 0 })
    if (!before) {
      send({ kind: 'welcome' })
      if (status) send(status)
      if (lost) send({ kind: 'lost', lost })
    }
    for (const name of names) {
      const run = runs.get(name)
      if (run && !before?.names.includes(name)) send({ kind: 'rows', run: name, reset: true, ...everything(run) })
    }
    schedule()
  }

  function drop(send) {
    if (tabs.delete(send)) schedule()
  }

  const everything = (run) => ({ steps: run.steps, epochs: run.epochs })

  // Components and tabs come and go together: wait for all of them, and longer if the stream has all that is wanted.
  function schedule() {
    clearTimeout(openTimer)
    const enough = source && anybody() && wanted().every((name) => opened.includes(name))
    openTimer = setTimeout(open, enough ? 10000 : 100)
  }

  function open() {
    clearTimeout(openTimer)
    if (!anybody()) return close()
    const names = wanted()
    if (source && names.join() === opened.join()) return
    source?.close()
    for (const name of [...runs.keys()]) if (!names.includes(name)) runs.delete(name)
    opened = names
    const query = names.map((name) => 'run=' + encodeURIComponent(name))
    const after = names.filter((name) => runs.has(name)).map((name) => `${name}:${runs.get(name).position}`)
    if (after.length) query.push('after=' + encodeURIComponent(after.join()))
    heard = Date.now()
    source = new EventSource(url + '?' + query.join('&'))
    source.addEventListener('rows', (event) => { hear(); take(JSON.parse(event.data)) })
    source.addEventListener('status', (event) => {
      hear()
      status = { kind: 'status', ...JSON.parse(event.data) }
      broadcast(status)
    })
    source.addEventListener('beat', hear)
    source.onerror = fail
    ticker ??= setInterval(tick, TICK)
  }

  function close() {
    source?.close()
    source = null
    opened = []
    failures = 0
    tell(false)
    clearInterval(ticker)
    ticker = null
  }

  function hear() {
    heard = Date.now()
    failures = 0
    tell(false)
  }

  // Not left to EventSource, which comes back after the same second every time: thirty browsers in one instant.
  function fail() {
    source?.close()
    source = null
    if (!failures) failedAt = Date.now()
    failures += 1
    clearTimeout(openTimer)
    openTimer = setTimeout(open, Math.min(8000, 500 * 2 ** failures) * (0.5 + Math.random()))
  }

  function tick() {
    if (source && Date.now() - heard > SILENCE) fail()  // a connection that nobody ended, and that carries nothing
    if (failures && Date.now() - failedAt > PATIENCE) tell(true)
    ticks += 1
    if (ticks % PING) return
    for (const [send, tab] of [...tabs]) {
      tab.unanswered += 1  // counted, not timed: after a sleep of the machine everybody is late
      if (tab.unanswered > 4) {
        drop(send)
        send({ kind: 'dropped' })
      } else send({ kind: 'ping' })
    }
  }

  function tell(now) {
    if (lost === now) return
    lost = now
    broadcast({ kind: 'lost', lost })
  }

  function take({ run: name, reset, position, steps, epochs }) {
    let run = runs.get(name)
    if (!run || reset) runs.set(name, run = { steps: [], epochs: [] })
    run.position = position
    run.steps.push(...steps)
    run.epochs.push(...epochs)
    let message = { steps, epochs }
    if (run.steps.length > LIMIT) {
      run.steps = run.steps.filter((_, i) => i % 2 || i === run.steps.length - 1)
      reset = true
      message = everything(run)
    }
    for (const [send, tab] of [...tabs]) {
      if (tab.names.includes(name)) send({ kind: 'rows', run: name, reset, ...message })
    }
  }

  globalThis.addEventListener?.('online', () => { if (failures) open() })
  return { receive }
}
