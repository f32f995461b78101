// Curves and the epoch table; the words of live_words.js stand before this text.

function table(root, data) {
  const box = element('div', 'tm-table-box', root)
  box.tabIndex = 0  // it scrolls, also by keyboard
  box.setAttribute('role', 'region')
  box.setAttribute('aria-label', 'Epoch by epoch')
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
  const rows = watchRows((message) => { if (!message || message.epochs.length) draw() })
  rows.see(data.run)
  return { update(fresh) { data = fresh; rows.see(data.run) }, close: rows.close }
}

function curves(root, data) {
  const grid = element('div', 'tm-curves', root)
  const showLost = lostLine(root)  // below: nothing moves
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
  const faint = { opacity: 0.6, hoverinfo: 'skip', showlegend: false }
  const percents = '%{y:.1%}', plain = '%{y:.3f}'
  const graphs = [
    { title: 'Accuracy', note: 'right answers, higher is better', format: '.0%',
      words: (row) => `training ${percent(row[4])}, validation ${percent(row[6])}`, traces: [
      line('training, running average', train, steps(3), faint),
      points('training', train, epochs(4), percents), points('validation', validation, epochs(6), percents)] },
    { title: 'Loss', note: 'how wrong it is, lower is better', format: '',
      words: (row) => `training ${number(row[3])}, validation ${number(row[5])}`, traces: [
      line('training, running average', train, steps(2), faint),
      points('training', train, epochs(3), plain), points('validation', validation, epochs(5), plain)] },
    { title: 'Learning rate', note: 'the size of each step', format: '', words: (row) => rate(row[1]), traces: [
      line('learning rate', train, steps(1), { line: { color: train, width: 2.5 }, showlegend: false,
        hovertemplate: 'epoch %{x:.1f}: %{y:.4f}' })] },
  ]
  for (const graph of graphs) {
    const figure = graph.figure = element('figure', 'tm-curve', grid)
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
      uirevision: data.name,  // zoom and hidden traces outlive every redrawing of the same run
      height: 300, margin: { l: 8, r: 10, t: 28, b: 8 },
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      modebar: { bgcolor: 'rgba(0,0,0,0)', color: text, activecolor: text },
      font: { color: text, family: style('--st-font', 'sans-serif'), size: 14 },
      annotations: data.replay ? [{ text: 'replay', xref: 'paper', yref: 'paper', x: 1, y: 0, xanchor: 'right',
        yanchor: 'bottom', showarrow: false, opacity: 0.75, font: { size: 16 } }] : [],
      hoverlabel: { font: { size: 14 } },
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
  // What a screen reader says of a chart: the last finished epoch, so it changes calmly.
  function describe() {
    const last = hub.rows(data.run).epochs.at(-1)
    for (const { figure, title, note, words } of graphs) {
      const text = `${title}, ${note}. ` + (last
        ? `After epoch ${last[0]} of ${data.epochs}: ${words(last)}.` : 'No epoch is finished yet.')
      if (figure.getAttribute('aria-label') !== text) figure.setAttribute('aria-label', text)
    }
  }
  // plotly works asynchronously: one change after the other, and what came meanwhile in one
  let extending = false
  const then = (work) => { queue = queue.then(() => (closed ? null : work())).catch((e) => console.error(e)) }
  const theme = () => style('--st-text-color', '') + style('--st-border-color', '')
  const rows = watchRows((message) => {
    describe()
    if (!plotly) return
    if (!message) then(redraw)
    else if (!extending) {
      extending = true
      then(() => { extending = false; return extend() })
    }
  })
  const stopLost = hub.onStatus(showLost)
  describe()
  rows.see(data.run)
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
      rows.see(data.run)
      if (plotly && look !== theme()) { look = theme(); then(redraw) }
    },
    close() {
      closed = true
      rows.close()
      stopLost()
      if (plotly) for (const graph of graphs) plotly.purge(graph.node)
    },
  }
}
