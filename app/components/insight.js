// The strip of insight.py. `globalThis.tinymodelLive` (stream/tab.js) says that an epoch has ended; what was recorded of
// it is fetched once and put into the same nodes, so that nothing flickers.

const instances = new WeakMap()

function element(tag, className, parent, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text != null) node.textContent = text
  parent?.append(node)
  return node
}

function begin(root, data) {
  const note = element('p', 'tm-note', root)
  const strip = element('div', 'tm-looks', root)
  strip.tabIndex = 0  // on a phone it is wider than the screen: arrow keys move it
  strip.setAttribute('role', 'group')
  strip.setAttribute('aria-label', 'Pictures that are watched')
  const cards = new Map()  // index of the picture → its nodes
  let wanted = 0, closed = false, stop = () => {}

  function empty() {
    cards.clear()
    strip.replaceChildren()
    for (let i = 0; i < data.expected; i++) {
      const card = element('div', 'tm-look', strip)
      card.setAttribute('aria-hidden', 'true')
      element('div', 'tm-empty', card)
      element('div', 'tm-empty', card)
    }
    note.textContent = 'The first heat maps come after the first epoch: for each of a few pictures, the network then '
      + 'shows where it looks.'
  }

  function newCard() {
    const card = element('figure', 'tm-look')
    const picture = element('img', 'tm-crisp', card)
    const overlay = element('img', 'tm-heat', card)
    const caption = element('figcaption', '', card)
    const nodes = { card, picture, overlay, true: element('div', 'tm-true', caption) }
    nodes.says = element('div', '', caption)
    nodes.sure = element('div', 'tm-sure', caption)
    return nodes
  }

  async function show(epoch, looks) {
    // Decoded before they are shown: an image whose source changes would be blank for a moment.
    await Promise.all(looks.flatMap((look) => [look.picture, look.overlay]).map((source) => {
      const image = new Image()
      image.src = source
      return image.decode().catch(() => {})
    }))
    if (closed || epoch !== wanted) return
    if (!cards.size) strip.replaceChildren()
    const gone = new Set(cards.keys())
    for (const look of looks) {
      gone.delete(look.index)
      if (!cards.has(look.index)) cards.set(look.index, newCard())
      const nodes = cards.get(look.index)
      nodes.picture.src = look.picture
      nodes.picture.alt = `${look.true}, image ${look.index}`
      nodes.overlay.src = look.overlay
      nodes.overlay.alt = look.blank ? `Epoch ${epoch}: no place in this picture speaks for ${look.true} yet.`
        : `The same picture with its heat map after epoch ${epoch}: what speaks for ${look.true}.`
      nodes.overlay.title = nodes.overlay.alt
      nodes.true.textContent = look.true
      nodes.says.textContent = look.right ? `✓ says: ${look.says}` : `✗ says: ${look.says}`
      nodes.sure.textContent = `${look.sure.replaceAll(' %', '\u00a0%')} sure`
      if (!nodes.card.isConnected) strip.append(nodes.card)
    }
    for (const index of gone) { cards.get(index).card.remove(); cards.delete(index) }
    root.dataset.epoch = epoch
    note.textContent = `After epoch ${epoch} of ${data.epochs}. Bright places speak for what it really is (heat map, `
      + 'Grad-CAM); below, what the network says and how sure it is.'
  }

  // The epoch's row is on disk a moment before its heat maps are.
  async function ask(epoch, attempt = 0) {
    await new Promise((ready) => setTimeout(ready, 250 + Math.random() * 250 + 500 * attempt))
    if (closed || epoch !== wanted) return
    let answer = { looks: [] }
    try {
      const response = await fetch(new URL(`${data.address}/${encodeURIComponent(data.run)}/${epoch}.json`, document.baseURI))
      if (response.ok) answer = await response.json()
    } catch { /* the server is out of reach: again in a moment */ }
    if (closed || epoch !== wanted) return
    if (answer.looks.length) await show(epoch, answer.looks)
    else if (answer.error) { note.textContent = answer.error; if (!cards.size) strip.replaceChildren() }
    else if (attempt < 12) ask(epoch, attempt + 1)
    else if (!cards.size) note.textContent = 'Of this epoch nothing was recorded.'
  }

  function look(hub) {
    const epoch = hub.rows(data.feed).epochs.at(-1)?.[0] ?? 0
    if (epoch === wanted) return
    wanted = epoch
    if (epoch) ask(epoch)
    else empty()
  }

  function listen() {
    const hub = globalThis.tinymodelLive  // made by the status card, which may come a moment later
    if (closed) return
    if (!hub) return void setTimeout(listen, 50)
    stop = hub.onRows(data.feed, () => look(hub))
    look(hub)
  }

  empty()
  listen()
  return { close() { closed = true; stop() } }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.tm-insight')
  if (!instances.has(root)) instances.set(root, begin(root, data))
  return () => {
    instances.get(root)?.close()
    instances.delete(root)
    root.replaceChildren()
  }
}
