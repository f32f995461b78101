// A map of features: one place for every image in every layer, and a slider over the layers along which they move.

const instances = new WeakMap()
const MOVE = 700, REST = 450  // milliseconds from one layer to the next, and there

function element(tag, className, parent, text) {
  const node = document.createElement(tag)
  node.className = className
  if (text != null) node.textContent = text
  parent?.append(node)
  return node
}

function decode(text, limit) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
  return Float32Array.from(new Int16Array(bytes.buffer), (value) => (value * limit) / 32767)
}

function hasWebGL() {
  const canvas = document.createElement('canvas')
  return !!(canvas.getContext('webgl2') || canvas.getContext('webgl'))
}

function make(root, component) {
  let data = component.data, plotly = null, closed = false, look = ''
  let places = null  // Float32Array, (layers, n, dimensions)
  let now = null  // where the points are at this moment, (n, dimensions)
  let k = data.k, moving = 0, playing = null, drawing = Promise.resolve()
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches

  const bar = element('div', 'tm-map-bar', root)
  const play = element('button', 'tm-map-play', bar, '▶')
  const slide = element('div', 'tm-map-slide', bar)
  const range = element('input', 'tm-map-range', slide)
  Object.assign(range, { type: 'range', min: 0, step: 1 })
  range.setAttribute('aria-label', 'Layer k')
  const ticks = element('div', 'tm-map-ticks', slide)
  const title = element('div', 'tm-map-title', bar)
  title.setAttribute('aria-live', 'polite')
  const node = element('div', 'tm-map-plot', root)
  const card = element('div', 'tm-map-card', root)
  const picture = element('img', '', card), label = element('div', '', card)
  card.style.display = 'none'

  node.setAttribute('role', 'figure')
  const size = () => data.count * data.dimensions
  const layer = (number) => places.subarray(number * size(), (number + 1) * size())
  const style = (name, fallback) => getComputedStyle(root).getPropertyValue(name).trim() || fallback
  const theme = () => style('--st-text-color', '') + style('--st-background-color', '')
  const narrow = () => root.clientWidth < 640

  function say() {
    range.max = data.layers.length - 1
    range.value = k
    range.setAttribute('aria-valuetext', data.layers[k].title)
    if (ticks.childElementCount !== data.layers.length) {
      ticks.replaceChildren(...data.layers.map((_, number) => element('span', '', null, number)))
    }
    node.setAttribute('aria-label', `Map of ${data.count} pictures of ${data.groups.map((group) => group.name).join(', ')}. ` +
      `${data.layers[k].title}: ${data.layers[k].note}`)
    title.replaceChildren()
    element('strong', '', title, `k = ${k} · ${data.layers[k].title}`)
    element('span', '', title, data.layers[k].note)
    play.textContent = playing ? '❚❚' : '▶'
    play.setAttribute('aria-label', playing ? 'Pause' : 'Play: from raw pixels to the last layer')
    play.title = play.getAttribute('aria-label')
  }

  function coordinates(group) {
    const axes = Array.from({ length: data.dimensions }, () => new Float32Array(group.members.length))
    group.members.forEach((member, i) => axes.forEach((axis, d) => { axis[i] = now[member * data.dimensions + d] }))
    return axes
  }

  function traces() {
    const kind = data.dimensions === 3 ? 'scatter3d' : hasWebGL() ? 'scattergl' : 'scatter'
    return data.groups.map((group) => {
      const [x, y, z] = coordinates(group)
      const flat = kind === 'scatter3d' ? { size: group.size * 0.5 } : { size: group.size }
      return {
        type: kind, mode: 'markers', name: group.name, x, y, ...(z ? { z } : {}), hoverinfo: 'none',
        marker: { color: group.colour, symbol: group.symbol, opacity: group.opacity, ...flat,
          line: { width: group.symbol.endsWith('open') ? 1.5 : 0.4,
            color: group.symbol.endsWith('open') ? group.colour : style('--st-background-color', '#fff') } },
      }
    })
  }

  function layout() {
    const text = style('--st-text-color', '#444'), edge = style('--st-border-color', '#ddd')
    const axis = { range: [-data.limit, data.limit], showticklabels: false, ticks: '', zeroline: false, title: { text: '' },
      gridcolor: edge, linecolor: edge, showgrid: true }
    const flat = { xaxis: { ...axis, fixedrange: false }, yaxis: { ...axis, scaleanchor: 'x' } }
    const deep = { scene: { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: 'cube',
      camera: { eye: { x: 1.15, y: 1.15, z: 0.75 } } } }
    const legend = narrow() ? { orientation: 'h', x: 0, y: -0.02, yanchor: 'top' } : { x: 1.01, y: 1, yanchor: 'top' }
    return {
      uirevision: data.revision, height: narrow() ? 360 + 14 * data.groups.length : 540,
      margin: { l: 4, r: 4, t: 8, b: 4 }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      modebar: { bgcolor: 'rgba(0,0,0,0)', color: text, activecolor: text },
      font: { color: text, family: style('--st-font', 'sans-serif'), size: 14 }, hovermode: 'closest', dragmode: 'pan',
      showlegend: true, legend: { ...legend, itemsizing: 'constant', bgcolor: 'rgba(0,0,0,0)' },
      ...(data.dimensions === 3 ? deep : flat),
    }
  }

  const config = { displaylogo: false, responsive: true, scrollZoom: false,
    displayModeBar: matchMedia('(hover: none)').matches ? false : 'hover',
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'toImage'] }

  // plotly works asynchronously: one change after the other
  const then = (work) => (drawing = drawing.then(() => (closed ? null : work())).catch((e) => console.error(e)))
  const redraw = () => then(() => plotly.react(node, traces(), layout(), config))

  function shift() {
    const axes = data.groups.map(coordinates)
    const update = { x: axes.map((a) => a[0]), y: axes.map((a) => a[1]) }
    if (data.dimensions === 3) update.z = axes.map((a) => a[2])
    return then(() => plotly.restyle(node, update, data.groups.map((_, i) => i)))
  }

  async function move(to) {
    const ticket = ++moving
    k = to
    say()
    card.style.display = 'none'
    if (!plotly) { now = Float32Array.from(layer(to)); return }
    const from = now, goal = layer(to), start = performance.now()
    if (!still) {
      for (;;) {
        await new Promise(requestAnimationFrame)
        const t = (performance.now() - start) / MOVE
        if (ticket !== moving || closed) return
        if (t >= 1) break
        const eased = t * t * (3 - 2 * t)
        now = goal.map((value, i) => from[i] + (value - from[i]) * eased)
        await shift()
      }
    }
    now = Float32Array.from(goal)
    await shift()
  }

  function tell() { instance.component.setTriggerValue('layer', k) }

  function stop() {
    if (!playing) return
    playing.over = true
    playing = null
    say()
    tell()
  }

  play.onclick = async () => {
    if (playing) return stop()
    const mine = (playing = { over: false })
    if (k === data.layers.length - 1) await move(0)
    while (!mine.over && !closed && k < data.layers.length - 1) {
      await move(k + 1)
      await new Promise((resolve) => setTimeout(resolve, REST))
    }
    if (!mine.over) stop()
  }
  let later = null
  range.oninput = () => {
    if (playing) { playing.over = true; playing = null }
    move(Number(range.value))
    clearTimeout(later)
    later = setTimeout(tell, 900)  // once it rests: the address, for a link or a reload
  }

  let pointer = { x: 0, y: 0 }
  node.addEventListener('mousemove', (event) => { pointer = { x: event.clientX, y: event.clientY } }, true)
  const pointed = (event) => {
    const point = event.points[0]
    return data.groups[point.curveNumber].members[point.pointNumber]
  }
  function show(event) {
    const member = pointed(event), box = root.getBoundingClientRect()
    picture.src = `${data.pictures}/${data.rows[member]}.png`
    picture.alt = ''
    label.textContent = data.names[data.labels[member]]
    card.style.display = ''
    const x = pointer.x - box.left, y = pointer.y - box.top
    card.style.left = `${Math.max(0, x + 130 > root.clientWidth ? x - 126 : x + 14)}px`
    card.style.top = `${Math.max(0, y + 150 > root.clientHeight ? y - 144 : y + 14)}px`
  }

  // A turned phone, a resized window: plotly follows the width by itself, but the legend moves only with the layout.
  let small = narrow()
  const watcher = new ResizeObserver(() => {
    if (!plotly || closed || small === narrow()) return
    small = narrow()
    redraw()
  })
  watcher.observe(root)

  async function begin() {
    const module = await import(new URL(data.plotly, document.baseURI).href)
    if (closed) return
    plotly = globalThis.Plotly ?? module.default
    look = theme()
    await redraw()
    node.on('plotly_hover', show)
    node.on('plotly_unhover', () => { card.style.display = 'none' })
    node.on('plotly_click', (event) => instance.component.setTriggerValue('clicked', pointed(event)))
    root.dataset.ready = 'yes'
  }

  function take(fresh) {
    data = fresh
    places = decode(data.points, data.limit)
    k = Math.min(data.k, data.layers.length - 1)
    now = Float32Array.from(layer(k))
    say()
  }

  const instance = {
    component, places: () => now,
    update(next) {
      instance.component = next
      const fresh = next.data
      if (fresh.revision !== data.revision) {
        moving++
        if (playing) { playing.over = true; playing = null }
        take(fresh)
        if (plotly) redraw()
      } else if (plotly && look !== theme()) { look = theme(); redraw() }
    },
    close() {
      closed = true
      watcher.disconnect()
      clearTimeout(later)
      if (plotly) plotly.purge(node)
    },
  }
  take(data)
  begin().catch((error) => {
    console.error(error)
    node.textContent = 'The drawing program could not be loaded; reload the page.'
  })
  return instance
}

export default function (component) {
  const root = component.parentElement.querySelector('.tm-map')
  if (instances.has(root)) instances.get(root).update(component)
  else instances.set(root, make(root, component))
  return () => {
    instances.get(root)?.close()
    instances.delete(root)
    root.replaceChildren()
  }
}
