// What is live on a page, one maker a kind: (root, data, component) → {update(data), status(hub), close()}. The makers stand
// before this text, in live_status.js and live_curves.js.

const instances = new WeakMap()
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
