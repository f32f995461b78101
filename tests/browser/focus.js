// Where the focus rests now, and whether the place where it rested before looks different without it.
() => {
    const above = (node) => node.parentElement ?? node.getRootNode().host
    const parts = ['outline', 'boxShadow', 'borderColor', 'backgroundColor', 'color', 'opacity', 'textDecorationLine']
    const looks = (nodes) => nodes.map((node) => parts.map((part) => getComputedStyle(node)[part]).join()).join()
    const last = window.lastStop
    let node = document.activeElement
    while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
    const within = last && node?.closest('[data-testid=stMultiSelect]')?.contains(last.nodes[0])  // one frame for all of it
    const said = { changed: !last || within || last.looks !== looks(last.nodes) }  // it looks different without the focus
    window.lastStop = null
    if (!node || node === document.body) return { ...said, over: true }
    const nodes = [node, ...node.querySelectorAll('*')].slice(0, 40)
    for (let i = 0, holder = above(node); i < 9 && holder; i++, holder = above(holder)) nodes.push(holder)
    if (node.tagName === 'INPUT') nodes.push(...node.parentElement.querySelectorAll('*'))  // drawn by what lies beside it
    window.lastStop = { nodes, looks: looks(nodes) }
    const main = document.querySelector('[data-testid=stMain]')
    const words = node.getAttribute('aria-label') ?? node.title
    const held = node.closest('[aria-label], [aria-labelledby]') || node.querySelector('img[alt]') || node.labels?.length
    return { ...said,
        inMain: main.contains(node) || main.contains(node.getRootNode().host ?? null),
        named: Boolean(words || held || node.textContent.trim()),
        canvas: node.tagName === 'CANVAS',  // a table draws its own ring
        name: `<${node.tagName.toLowerCase()} ${node.dataset.testid ?? node.className}> ${words || node.textContent.trim().slice(0, 50)}` }
}
