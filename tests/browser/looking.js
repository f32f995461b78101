// What a person would see and a program can measure: run in the page, shadow roots included. Returns lists of sentences.
() => {
  const found = []
  const inside = (root) =>
    [...root.querySelectorAll('*')].flatMap((node) => (node.shadowRoot ? [node, ...inside(node.shadowRoot)] : [node]))
  const above = (node) => node.parentElement ?? node.getRootNode().host
  const hides = (node) => ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(node).overflowX)
  const name = (node) =>
    `<${node.tagName.toLowerCase()} ${node.dataset?.testid ?? node.getAttribute('class') ?? ''}> ` +
    `“${(node.textContent ?? '').trim().slice(0, 60)}”`
  const main = document.querySelector('[data-testid=stMain]')
  const room = main.getBoundingClientRect()
  if (document.documentElement.scrollWidth > innerWidth) found.push('The document is wider than the window.')
  if (main.scrollWidth > main.clientWidth) found.push(`The page is ${main.scrollWidth} wide in ${main.clientWidth}.`)

  const dialogs = [...document.querySelectorAll('[role=dialog]')]
  for (const node of [main, ...dialogs].flatMap(inside)) {
    if (!node.checkVisibility?.({ opacityProperty: true, visibilityProperty: true })) continue
    const box = node.getBoundingClientRect()
    if (box.width < 2 || box.height < 2) continue  // for screen readers only
    if (box.right > room.right + 1 || box.left < room.left - 1) {
      let holder = above(node)
      while (holder && holder !== main && !hides(holder)) holder = above(holder)
      if ((!holder || holder === main) && !node.closest('svg')) found.push(`Sticks out of the page: ${name(node)}`)
    }
    const words = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim())
    if (words && hides(node) && getComputedStyle(node).overflowX !== 'auto' && node.scrollWidth > node.clientWidth + 1)
      if (!node.title && !node.closest('[title]')) found.push(`Cut off: ${name(node)}`)
  }
  for (const svg of document.querySelectorAll('.js-plotly-plot svg.main-svg')) {
    const frame = svg.getBoundingClientRect()
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect()
      const out = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom)
      if (box.width && out > 2) found.push(`Cut off by its chart: “${text.textContent}”`)
    }
  }
  for (const chart of document.querySelectorAll('[data-testid=stPlotlyChart], .tm-plot, .tm-map-plot'))
    if (!chart.closest('[aria-label], figure') && !chart.querySelector('[aria-label], [alt]'))
      found.push(`A chart without a text for who cannot see it: ${name(above(chart))}`)
  return [...new Set(found)]
}
