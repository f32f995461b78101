// The card of the run that is going and the progress of one run; the words of live_words.js stand before this text.

function card(root, data, component) {
  const link = element('a', 'tm-card', root)
  const showLost = lostLine(root)
  const top = element('div', 'tm-card-top', link)
  const dot = element('span', 'tm-dot', top)
  const title = element('span', 'tm-card-title', top)
  const line = element('div', 'tm-card-line', link)
  const bar = element('div', 'tm-bar', link)
  const fill = element('div', 'tm-fill', bar)
  const figures = element('div', 'tm-card-line tm-muted', link)
  let status = data.status
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !status) return
    event.preventDefault()
    component.setTriggerValue('open', status.run)
  }
  function draw() {
    link.style.display = status ? '' : 'none'
    if (!status) return
    link.href = data.train + '?run=' + encodeURIComponent(status.run)
    link.title = 'Go to this run'
    dot.className = 'tm-dot tm-' + status.status
    title.textContent = status.run
    bar.style.display = active(status) ? '' : 'none'
    fill.style.width = 100 * status.run_fraction + '%'
    if (active(status)) {
      const left = status.status === 'running' && status.time_left ? `${status.time_left} left` : word(status)
      line.textContent = `${epochsOf(status)} · ${left}`
      figures.textContent = status.val_accuracy == null
        ? 'first results after epoch 1' : `validation ${percent(status.val_accuracy)}`
    } else {
      line.textContent = word(status)
      figures.textContent = status.best_accuracy == null ? '' : `best validation ${percent(status.best_accuracy)}`
    }
  }
  draw()
  return {
    status: (hubNow) => {
      if (hubNow.current !== undefined) status = hubNow.current
      showLost()
      draw()
      return status
    },
    update(fresh) { data = fresh; status = fresh.status; draw() },
  }
}

function progress(root, data, component) {
  const box = element('div', 'tm-progress', root)
  const player = openPlayer(box, (moment) => component.setTriggerValue('seek', moment))
  const rows = ['Epoch', 'Whole training'].map((label) => {
    const row = element('div', 'tm-progress-row', box)
    element('span', 'tm-progress-label', row, label)
    const bar = element('div', 'tm-bar tm-thick', row)
    bar.setAttribute('role', 'progressbar')
    bar.setAttribute('aria-label', label)
    return { row, bar, fill: element('div', 'tm-fill', bar), text: element('span', 'tm-progress-text', row) }
  })
  const facts = element('div', 'tm-facts', box)
  const fact = (title) => {
    const cell = element('div', 'tm-fact', facts)
    const label = element('div', 'tm-fact-label', cell, title)
    return Object.assign(element('div', 'tm-fact-value', cell), { label })
  }
  const values = {
    left: fact('Time left'), speed: fact('Speed'), now: fact('Validation accuracy'), best: fact('Best so far'),
  }
  let status = data.status
  function fill({ bar, fill: inner, text }, fraction, words) {
    inner.style.width = 100 * fraction + '%'
    bar.setAttribute('aria-valuenow', Math.round(100 * fraction))
    text.textContent = words
  }
  function draw() {
    if (!status) return
    player.draw(status.replay)
    fill(rows[0], status.epoch_fraction, `${status.epoch} of ${status.epochs}`)
    fill(rows[1], status.run_fraction, (100 * status.run_fraction).toFixed(0) + ' %')
    const going = status.status === 'running' && !status.requested
    for (const { row } of rows) row.style.display = status.status === 'finished' && !status.replay ? 'none' : ''
    values.left.label.textContent = going ? 'Time left' : 'State'
    values.speed.label.textContent = status.replay ? 'Speed of the training' : 'Speed'
    values.best.label.textContent = active(status) ? 'Best so far' : 'Best'
    values.now.label.textContent = active(status) ? 'Validation accuracy' : 'Last validation accuracy'
    values.left.textContent = going ? (status.time_left ?? 'measuring …') : word(status)
    values.speed.textContent = status.images_per_second == null
      ? '–' : `${Math.round(status.images_per_second)} images/s`
    values.now.textContent = percent(status.val_accuracy)
    values.best.textContent = percent(status.best_accuracy)
  }
  draw()
  return {
    status: (hubNow) => {
      const current = hubNow.current?.run === data.run ? hubNow.current : null
      status = hubNow.gone.includes(data.run) ? { ...status, status: 'gone', state: 'gone' }
        : hubNow.statuses[data.run] ?? current ?? status
      draw()
      return status
    },
    update(fresh) { data = fresh; status = fresh.status; draw() },
  }
}

// What says that a run is played back, and the bar that leads to any moment of it.
function openPlayer(parent, seek) {
  const box = element('div', 'tm-player', parent)
  const mark = element('div', 'tm-replay', box)
  const row = element('label', 'tm-progress-row', box)
  element('span', 'tm-progress-label', row, 'Moment')
  const bar = element('input', 'tm-moment', row)
  const text = element('span', 'tm-progress-text', row)
  bar.type = 'range'
  bar.min = 0
  bar.step = 'any'
  let asking = null, held = 0
  const say = (moment) => {
    text.textContent = `${duration(moment)} of ${duration(bar.max)}`
    bar.setAttribute('aria-valuetext', `${duration(moment)} of ${duration(bar.max)} of training`)
    bar.style.setProperty('--filled', 100 * moment / bar.max + '%')
  }
  bar.oninput = () => { held = Date.now(); say(+bar.value) }
  bar.onchange = () => {  // a held arrow key changes it many times
    clearTimeout(asking)
    asking = setTimeout(() => seek(Math.round(bar.value * 1000) / 1000), 250)
  }
  return {
    draw(replay) {
      box.style.display = replay ? '' : 'none'
      if (!replay) return
      mark.textContent = replayWords(replay)
      bar.max = replay.duration
      if (Date.now() - held < 1500) return  // somebody moves it
      bar.step = replay.duration / 200
      bar.value = replay.moment
      say(replay.moment)
    },
  }
}
