// Has the page run again when what the presenter shows has changed: for who follows with every view, for others when
// it begins and when it ends.

export default function (component) {
  const root = component.parentElement
  root.component = component
  const look = () => {
    const { data, setTriggerValue } = root.component, hub = globalThis.tinymodelLive
    if (hub.current === undefined) return  // the server has said nothing yet
    const number = hub.teacher?.number ?? 0
    const news = data.follows ? number !== data.number : !number !== !data.number
    if (news && root.asked !== number) setTriggerValue('changed', number)
    root.asked = news ? number : undefined
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
