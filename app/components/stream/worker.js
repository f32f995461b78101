// In the worker that the tabs of a browser share; `openHub` of hub.js stands before this text.

if (!globalThis.EventSource) throw new Error('no EventSource in workers: each tab opens its own')

const hub = openHub()

onconnect = (event) => {
  const port = event.ports[0]
  const send = (message) => port.postMessage(message)
  port.onmessage = ({ data }) => hub.receive(send, data)
}
