// Who follows is taken to what the presenter shows; for others the page is run again when the showing begins or ends.

const TRIES = 2  // Streamlit drops what it takes for a parameter of the page that is being left; the second time it stays

function go(address) {
  // As with Back and Forward: then widgets, too, take their values from the address.
  const samePage = location.pathname === new URL(address, location.href).pathname
  history[samePage ? 'replaceState' : 'pushState'](null, '', address)
  dispatchEvent(new PopStateEvent('popstate'))
}

export default function (component) {
  const root = component.parentElement
  root.component = component
  const look = () => {
    const { data, setTriggerValue } = root.component, hub = globalThis.tinymodelLive
    if (hub.current === undefined) return  // the server has said nothing yet
    const view = hub.teacher, follows = data.followed != null
    const news = follows && view ? view.number !== data.followed : Boolean(view) !== data.shown
    const about = news ? `${follows} ${view?.number}` : ''
    if (about !== root.about) Object.assign(root, { about, tries: 0 })
    if (!news || root.tries >= TRIES) return
    root.tries += 1
    if (follows && view) go(data.prefix + view.url)
    else setTriggerValue('changed', view?.number ?? 0)
  }
  const begin = () => {
    if (!globalThis.tinymodelLive) root.timer = setTimeout(begin, 200)  // it comes with the card of the run
    else root.stop = globalThis.tinymodelLive.onStatus(look)
  }
  if (root.stop) look()
  else if (!root.timer) begin()
  return () => {
    clearTimeout(root.timer)
    root.stop?.()
    root.stop = root.timer = undefined
  }
}
