
// Curves, epoch table, progress bars and status card, fed by the `hub` of stream.js, which stands before this text.

const instances = new WeakMap()

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

// ---- one maker per kind: (root, data, component) → {update(data), close()}

function card(root, data, component) {
  const link = element('a', 'tm-card', root)
  const top = element('div', 'tm-card-top', link)
  const dot = element('span', 'tm-dot', top)
  const title = element('span', 'tm-card-title', top)
  const line = element('div', 'tm-card-line', link)
  const bar = element('div', 'tm-bar', link)
  const fill = element('div', 'tm-fill', bar)
  const figures = element('div', 'tm-card-line tm-muted', link)
  let status = data.status
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !status) return
    event.preventDefault()
    component.setTriggerValue('open', status.run)
  }
  function draw() {
    link.style.display = status ? '' : 'none'
    if (!status) return
    link.href = data.train + '?run=' + encodeURIComponent(status.run)
    link.title = 'Go to this run'
    dot.className = 'tm-dot tm-' + status.status
    title.textContent = status.run
    bar.style.display = active(status) ? '' : 'none'
    fill.style.width = 100 * status.run_fraction + '%'
    if (active(status)) {
      const left = status.status === 'running' && status.time_left ? `${status.time_left} left` : word(status)
      line.textContent = `${epochsOf(status)} · ${left}`
      figures.textContent = status.val_accuracy == null
        ? 'first results after epoch 1' : `validation ${percent(status.val_accuracy)}`
    } else {
      line.textContent = word(status)
      figures.textContent = status.best_accuracy == null ? '' : `best validation ${percent(status.best_accuracy)}`
    }
  }
  draw()
  return {
    status: (hubNow) => { if (hubNow.current !== undefined) status = hubNow.current; draw(); return status },
    update(fresh) { data = fresh; status = fresh.status; draw() },
  }
}

function progress(root, data) {
  const box = element('div', 'tm-progress', root)
  const rows = ['Epoch', 'Run'].map((label) => {
    const row = element('div', 'tm-progress-row', box)
    element('span', 'tm-progress-label', row, label)
    const fill = element('div', 'tm-fill', element('div', 'tm-bar tm-thick', row))
    return { bar: row, fill, text: element('span', 'tm-progress-text', row) }
  })
  const facts = element('div', 'tm-facts', box)
  const fact = (title) => {
    const cell = element('div', 'tm-fact', facts)
    const label = element('div', 'tm-fact-label', cell, title)
    return Object.assign(element('div', 'tm-fact-value', cell), { label })
  }
  const values = {
    left: fact('Time left'), speed: fact('Speed'), now: fact('Validation accuracy'), best: fact('Best so far'),
  }
  let status = data.status
  function draw() {
    if (!status) return
    rows[0].fill.style.width = 100 * status.epoch_fraction + '%'
    rows[1].fill.style.width = 100 * status.run_fraction + '%'
    rows[0].text.textContent = `${status.epoch} of ${status.epochs}`
    rows[1].text.textContent = (100 * status.run_fraction).toFixed(0) + ' %'
    const going = status.status === 'running' && !status.requested
    for (const row of rows) row.bar.style.display = status.status === 'finished' ? 'none' : ''
    values.left.label.textContent = going ? 'Time left' : 'State'
    values.best.label.textContent = active(status) ? 'Best so far' : 'Best'
    values.now.label.textContent = active(status) ? 'Validation accuracy' : 'Last validation accuracy'
    values.left.textContent = going ? (status.time_left ?? 'measuring …') : word(status)
    values.speed.textContent = status.images_per_second == null
      ? '–' : `${Math.round(status.images_per_second)} images/s`
    values.now.textContent = percent(status.val_accuracy)
    values.best.textContent = percent(status.best_accuracy)
  }
  draw()
  return {
    status: (hubNow) => {
      const current = hubNow.current?.run === data.run ? hubNow.current : null
      status = hubNow.gone.includes(data.run) ? { ...status, status: 'gone', state: 'gone' }
        : hubNow.statuses[data.run] ?? current ?? status
      draw()
      return status
    },
    update(fresh) { data = fresh; status = fresh.status; draw() },
  }
}

function table(root, data) {
  const box = element('div', 'tm-table-box', root)
  const node = element('table', 'tm-table', box)
  const head = element('tr', '', element('thead', '', node))
  for (const title of ['Epoch', 'Learning rate', 'Time', 'Training loss', 'Training accuracy', 'Validation loss',
    'Validation accuracy', 'Images/s']) element('th', '', head, title)
  const body = element('tbody', '', node)
  function draw() {
    const epochs = hub.rows(data.run).epochs
    const best = Math.max(...epochs.map((row) => row[6] ?? 0))
    body.replaceChildren()
    for (const row of [...epochs].reverse()) {
      const line = element('tr', row[6] === best ? 'tm-best' : '', body)
      const cells = [row[0], rate(row[1]), duration(row[2]), number(row[3]), percent(row[4]), number(row[5]),
        percent(row[6]) + (row[6] === best ? ' ★' : ''), row[7] == null ? '–' : Math.round(row[7])]
      for (const cell of cells) element('td', '', line, cell)
    }
    if (!epochs.length) {
      const cell = element('td', 'tm-muted tm-none', element('tr', '', body), 'The first row comes after the first epoch.')
      cell.colSpan = 8
    }
  }
  draw()
  const close = hub.onRows(data.run, (message) => { if (!message || message.epochs.length) draw() })
  return { update() {}, close }
}

function curves(root, data) {
  const grid = element('div', 'tm-curves', root)
  const { train, validation } = data.colours
  const steps = (column) => (rows) => ({ x: rows.steps[0], y: rows.steps[column] })
  const epochs = (column) => (rows) => ({ x: rows.epochs.map((r) => r[0]), y: rows.epochs.map((r) => r[column]) })
  const line = (name, colour, from, more = {}) => ({
    from, trace: { type: 'scatter', mode: 'lines', name, line: { color: colour, width: 1.5 }, ...more },
  })
  const points = (name, colour, from, hover) => ({
    from,
    trace: { type: 'scatter', mode: 'lines+markers', name, line: { color: colour, width: 2.5 },
      marker: { size: 6, color: colour }, hovertemplate: `epoch %{x}: ${hover}` },
  })
  const faint = { opacity: 0.45, hoverinfo: 'skip', showlegend: false }
  const percents = '%{y:.1%}', plain = '%{y:.3f}'
  const graphs = [
    { title: 'Accuracy', note: 'right answers, higher is better', format: '.0%', traces: [
      line('training, running average', train, steps(3), faint),
      points('training', train, epochs(4), percents), points('validation', validation, epochs(6), percents)] },
    { title: 'Loss', note: 'how wrong it is, lower is better', format: '', traces: [
      line('training, running average', train, steps(2), faint),
      points('training', train, epochs(3), plain), points('validation', validation, epochs(5), plain)] },
    { title: 'Learning rate', note: 'the size of each step', format: '', traces: [
      line('learning rate', train, steps(1), { line: { color: train, width: 2.5 }, showlegend: false,
        hovertemplate: 'epoch %{x:.1f}: %{y:.4f}' })] },
  ]
  for (const graph of graphs) {
    const figure = element('figure', 'tm-curve', grid)
    const caption = element('figcaption', '', figure)
    element('strong', '', caption, graph.title)
    element('span', 'tm-muted', caption, graph.note)
    graph.node = element('div', 'tm-plot', figure)
    element('div', 'tm-skeleton', graph.node)
  }

  let plotly = null, closed = false, look = '', queue = Promise.resolve()
  const style = (name, fallback) => getComputedStyle(root).getPropertyValue(name).trim() || fallback
  function layout(graph) {
    const text = style('--st-text-color', '#444'), gridColour = style('--st-border-color', '#ddd')
    const axis = { gridcolor: gridColour, zeroline: false, automargin: true, linecolor: gridColour }
    return {
      uirevision: data.run,  // zoom and hidden traces outlive every redrawing of the same run
      height: 300, margin: { l: 8, r: 10, t: 28, b: 8 },
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      modebar: { bgcolor: 'rgba(0,0,0,0)', color: text, activecolor: text },
      font: { color: text, family: style('--st-font', 'sans-serif'), size: 13 },
      legend: { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom' }, hovermode: 'closest',
      xaxis: { ...axis, title: { text: 'epoch' }, range: [0, data.epochs * 1.015],
        dtick: data.epochs <= 7 ? 1 : data.epochs <= 15 ? 2 : undefined },
      // Left alone, plotly would give an empty chart an axis from -1 to 4: accuracies up to 400 %.
      yaxis: { ...axis, tickformat: graph.format, rangemode: 'tozero',
        ...(graph.filled ? {} : { range: [0, 1], showticklabels: graph.format !== '' }) },
    }
  }
  const traces = (graph) => {
    const rows = hub.rows(data.run)
    return graph.traces.map(({ from, trace }) => {
      const { x, y } = from(rows)
      return { ...trace, x: [...x], y: [...y] }
    })
  }
  const config = { displaylogo: false, responsive: true,
    displayModeBar: matchMedia('(hover: none)').matches ? false : 'hover',
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'] }

  async function redraw() {
    for (const graph of graphs) await draw(graph)
  }
  async function draw(graph) {
    graph.node.querySelector('.tm-skeleton')?.remove()
    const now = traces(graph)
    graph.filled = now.some((trace) => trace.x.length)
    await plotly.react(graph.node, now, layout(graph), config)
  }
  async function extend() {
    for (const graph of graphs) {
      const now = traces(graph), drawn = graph.node.data.map((trace) => trace.x.length)
      const changed = now.flatMap((trace, i) => (trace.x.length > drawn[i] ? [i] : []))
      if (changed.length && !graph.filled) {
        await draw(graph)  // its axes are those of an empty chart
      } else if (changed.length) {
        await plotly.extendTraces(graph.node,
          { x: changed.map((i) => now[i].x.slice(drawn[i])), y: changed.map((i) => now[i].y.slice(drawn[i])) }, changed)
      }
    }
  }
  // plotly works asynchronously: one change after the other
  const then = (work) => { queue = queue.then(() => (closed ? null : work())).catch((e) => console.error(e)) }
  const theme = () => style('--st-text-color', '') + style('--st-border-color', '')
  const close = hub.onRows(data.run, (message) => {
    if (plotly) then(() => (message ? extend() : redraw()))
  })
  import(new URL(data.plotly, document.baseURI).href).then((module) => {
    plotly = globalThis.Plotly ?? module.default
    look = theme()
    then(redraw)
  }).catch((error) => {
    console.error(error)
    for (const graph of graphs) graph.node.textContent = 'The drawing program could not be loaded; reload the page.'
  })
  return {
    update(fresh) {
      data = fresh
      if (plotly && look !== theme()) { look = theme(); then(redraw) }
    },
    close() {
      closed = true
      close()
      if (plotly) for (const graph of graphs) plotly.purge(graph.node)
    },
  }
}

const MAKERS = { card, progress, table, curves }

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector('.tm-live')
  hub.connect(data.events, data.worker)
  let instance = instances.get(root)
  if (instance) {
    instance.component = component
    instance.data = data
    instance.made.update(data)
  } else {
    const made = MAKERS[data.kind](root, data, component)
    instance = { component, data, made, asked: '' }
    instances.set(root, instance)
    const follow = () => {
      const status = made.status?.(hub)
      const state = status?.state ?? ''
      if (made.status && state !== (instance.data.status?.state ?? '') && state !== instance.asked) {
        instance.asked = state  // once: the page is run again because the run changed its state
        instance.component.setTriggerValue('state', state)
      }
    }
    instance.stop = made.status ? hub.onStatus(follow) : () => {}
  }
  return () => {
    instance.stop()
    instance.made.close?.()
    instances.delete(root)
    root.replaceChildren()
  }
}
