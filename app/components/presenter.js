// The code goes to the server in the body of a post, and is forgotten here at once.

export default function ({ data, parentElement, setTriggerValue }) {
  const form = parentElement.querySelector('form')
  const [input, button, said] = ['input', 'button', '.said'].map((name) => form.querySelector(name))
  form.onsubmit = async (event) => {
    event.preventDefault()
    const code = input.value
    input.value = ''
    if (!code.trim() || button.disabled) return
    button.disabled = true
    said.textContent = 'Checking …'
    const slow = setTimeout(() => {
      said.textContent = 'Checking … Wrong codes are being tried, so this can take half a minute.'
    }, 3000)
    try {
      const answer = await fetch(data.address, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ code }),
      })
      const { ticket, sentence } = await answer.json()
      said.textContent = sentence ?? ''
      if (ticket) setTriggerValue('ticket', ticket)
    } catch {
      said.textContent = 'The server does not answer. Try again.'
    }
    clearTimeout(slow)
    button.disabled = false
    input.focus()
  }
}
