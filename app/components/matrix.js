// A confusion matrix that is drawn in the browser: zoom, names that stay in sight, and a click that says which cell.

const SVG = 'http://www.w3.org/2000/svg'
const READABLE = 9  // pixels a cell needs for its name beside it
const COUNTED = 20  // and for its number inside

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.matrix')
  const scroll = root.querySelector('.scroll')
  const sheet = root.querySelector('.sheet')
  const says = root.querySelector('.says')
  const n = data.names.length
  const counts = new Map(data.cells.map(([row, column, count]) => [row * n + column, count]))
  if (root.dataset.names !== data.names.join('\n')) {
    root.dataset.names = data.names.join('\n')
    root.size = null  // fits until somebody zooms
    root.cursor = null
  }
  const percent = (share) => `${(100 * share).toFixed(1)} %`

  function fitting() {
    const room = scroll.clientWidth - 2
    const left = labelWidth(room)
    const size = Math.floor((room - left) / n)
    return Math.min(48, size >= READABLE ? size : Math.max(2, (room - 18) / n))
  }

  function labelWidth(room) {
    const context = document.createElement('canvas').getContext('2d')
    context.font = '14px sans-serif'
    const longest = Math.max(...data.names.map((name) => context.measureText(name).width))
    return Math.min(longest + 14, 0.34 * room, 170)
  }

  function draw() {
    const size = root.size ?? fitting()
    const readable = size >= READABLE
    const border = readable ? labelWidth(scroll.clientWidth) : 18
    const side = n * size
    sheet.style.gridTemplate = `${border}px ${side}px / ${border}px ${side}px`
    const font = `${Math.min(14, 0.82 * size)}px`
    const [top, left] = ['top', 'left'].map((edge) => {
      const element = document.createElement('div')
      element.className = edge
      if (readable) element.append(...data.names.map((name, place) => {
        const label = document.createElement('div')
        label.className = 'label'
        label.textContent = label.title = name
        Object.assign(label.style, edge === 'left'
          ? { top: `${place * size}px`, height: `${size}px`, lineHeight: `${size}px`, fontSize: font }
          : { left: `${place * size}px`, width: `${size}px`, lineHeight: `${size}px`, fontSize: font })
        label.onclick = () => setTriggerValue('opened', edge === 'left' ? [place, -1] : [-1, place])
        return label
      }))
      return element
    })
    const corner = document.createElement('div')
    corner.className = 'corner'
    sheet.replaceChildren(corner, top, left, picture(size, side))
    root.labels = { top: top.children, left: left.children }
    mark()
  }

  function picture(size, side) {
    const svg = document.createElementNS(SVG, 'svg')
    svg.setAttribute('width', side)
    svg.setAttribute('height', side)
    const parts = []  // numbers only: names never become markup
    if (size >= READABLE) for (let i = 0; i <= n; i++) {
      const at = i * size
      parts.push(`<path class="lines" d="M0 ${at}H${side}M${at} 0V${side}"/>`)
    }
    for (const [row, column, count, strength] of data.cells) {
      const colour = row === column ? data.colours.right : data.colours.wrong
      const [x, y] = [column * size, row * size]
      parts.push(`<rect x="${x}" y="${y}" width="${size}" height="${size}" fill="${colour}"
        fill-opacity="${0.15 + 0.85 * strength}" data-true="${data.labels[row]}" data-predicted="${data.labels[column]}"/>`)
      if (size >= COUNTED) parts.push(`<text class="number" x="${x + size / 2}" y="${y + size / 2}"
        font-size="${Math.min(15, size / 2.2)}">${count}</text>`)
    }
    parts.push('<rect class="cross"/><rect class="cross"/><rect class="frame"/>')
    svg.innerHTML = parts.join('')
    svg.onmousemove = (event) => { root.cursor = place(event, size); mark() }
    svg.onmouseleave = () => { root.cursor = null; mark() }
    svg.onclick = (event) => open(place(event, size))
    return svg
  }

  function place(event, size) {
    const box = event.currentTarget.getBoundingClientRect()
    const at = (offset) => Math.min(n - 1, Math.max(0, Math.floor(offset / size)))
    return [at(event.clientY - box.top), at(event.clientX - box.left)]
  }

  function open([row, column]) {
    root.cursor = [row, column]
    mark()
    if (counts.has(row * n + column)) setTriggerValue('opened', [row, column])
  }

  function mark() {
    const size = sheet.querySelector('svg').clientWidth / n
    const [across, down, frame] = sheet.querySelectorAll('.cross, .frame')
    const set = (rect, x, y, width, height) =>
      Object.entries({ x, y, width, height }).forEach(([key, value]) => rect.setAttribute(key, value))
    const cursor = root.cursor
    const side = n * size
    set(across, 0, (cursor?.[0] ?? 0) * size, cursor ? side : 0, cursor ? size : 0)
    set(down, (cursor?.[1] ?? 0) * size, 0, cursor ? size : 0, cursor ? side : 0)
    const chosen = data.selected
    if (chosen) set(frame, chosen[1] < 0 ? 0 : chosen[1] * size, chosen[0] < 0 ? 0 : chosen[0] * size,
      chosen[1] < 0 ? side : size, chosen[0] < 0 ? side : size)
    for (const [edge, which] of [['left', 0], ['top', 1]])
      [...root.labels[edge]].forEach((label, place) => label.classList.toggle('on', cursor?.[which] === place))
    if (!cursor) {
      says.textContent = data.hint + (size < READABLE ? ' Make it larger (+) for the names.' : '')
      return
    }
    const [row, column] = cursor
    const count = counts.get(row * n + column) ?? 0
    const share = data.images[row] ? `, ${percent(count / data.images[row])}` : ''
    says.textContent = `true: ${data.names[row]} / says: ${data.names[column]}: ` +
      `${count} of ${data.images[row]}${share}`
  }

  function zoom(factor, x = scroll.clientWidth / 2, y = scroll.clientHeight / 2) {
    const before = root.size ?? fitting()
    const edge = () => sheet.querySelector('.left').clientWidth
    const places = [scroll.scrollLeft + x - edge(), scroll.scrollTop + y - edge()].map((at) => at / before)
    const size = Math.min(60, Math.max(fitting(), before * factor))
    root.size = size <= fitting() ? null : size
    draw()
    scroll.scrollTo(places[0] * size + edge() - x, places[1] * size + edge() - y)
  }

  root.querySelector('.in').onclick = () => zoom(1.6)
  root.querySelector('.out').onclick = () => zoom(1 / 1.6)
  root.querySelector('.fit').onclick = () => { root.size = null; draw() }
  scroll.onwheel = (event) => {
    if (!event.ctrlKey) return
    event.preventDefault()
    const box = scroll.getBoundingClientRect()
    zoom(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top)
  }
  scroll.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key]
    if (step) {
      const from = root.cursor ?? data.selected?.map((each) => Math.max(0, each)) ?? [0, -1]
      root.cursor = from.map((each, axis) => Math.min(n - 1, Math.max(0, each + step[axis])))
      mark()
      const size = sheet.querySelector('svg').clientWidth / n
      const [y, x] = root.cursor.map((each) => each * size)
      if (root.size) scroll.scrollTo(x - scroll.clientWidth / 2, y - scroll.clientHeight / 2)
    } else if (event.key === 'Enter' && root.cursor) open(root.cursor)
    else if (event.key === '+') zoom(1.6)
    else if (event.key === '-') zoom(1 / 1.6)
    else return
    event.preventDefault()
  }
  draw()
  root.watcher?.disconnect()
  root.watcher = new ResizeObserver(() => {
    if (root.width === root.clientWidth) return
    root.width = root.clientWidth
    draw()
  })
  root.width = root.clientWidth
  root.watcher.observe(root)
  return () => root.watcher.disconnect()
}
