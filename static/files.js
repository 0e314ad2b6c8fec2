// Files of a message that is being written, and pictures seen large. What is
// picked, dropped or pasted is sent at once, one file after another, and stands
// above the composer as an element of class "attachment" (views/files.templ):
// "up" while it comes in, "bad" when it could not; the field in it then has the
// id that goes with the message (static/room.js). Without this file they are
// sent by the form, and pictures open by themselves.

const find = (selector, root = document) => root.querySelector(selector)
const all = (selector) => [...document.querySelectorAll(selector)]
const form = find('#composer'), pick = find('.attach input'), list = find('.attachments ul')
let line = Promise.resolve() // what is under way

const up = () => find('.up', list)

// wait keeps the message back until all files are there.
function wait(whether) {
  const status = find('.attachments [role]')
  status.textContent = whether ? status.dataset.wait : ''
}

function add(files) {
  for (const file of files) {
    const chip = list.appendChild(find('.attachments template').content.firstElementChild.cloneNode(true))
    const put = (state, error = '') => {
      chip.className = `attachment ${state}`
      find('.error', chip).textContent = error
    }
    const send = () => {
      put('up')
      line = line.then(() => new Promise((done) => {
        const request = new XMLHttpRequest(), data = new FormData()
        request.onloadend = () => {
          const answer = request.response ?? {}
          find('input', chip).value = answer.id ?? ''
          if (answer.thumb) {
            find('img', chip).src = answer.thumb
            find('img', chip).hidden = false
          }
          answer.id ? put('') : put('bad', answer.detail ?? pick.dataset.failed)
          if (!up() && find('.attachments [role]').textContent) {
            wait()
            find('.bad', list) || form.requestSubmit()
          }
          done()
        }
        if (!chip.isConnected) return request.onloadend()
        request.upload.onprogress = (event) => chip.isConnected ? find('progress', chip).value = event.loaded / event.total : request.abort()
        request.open('POST', pick.dataset.to)
        request.setRequestHeader('Accept', 'application/json')
        request.responseType = 'json'
        data.append('upload', file)
        request.send(data)
      }))
    }
    find('.name', chip).textContent = file.name
    find('.again', chip).onclick = send
    file.size > pick.dataset.most ? put('bad', pick.dataset.large) : send()
  }
}

if (pick) {
  pick.onchange = () => { add(pick.files); pick.value = '' }
  addEventListener('paste', (event) => {
    const {files, types} = event.clipboardData
    if (!files.length || types.includes('text/plain')) return // a table is a picture, too
    event.preventDefault()
    add(files)
  })
  for (const name of ['dragover', 'dragleave', 'drop']) addEventListener(name, (event) => {
    const {files, types} = event.dataTransfer
    if (!types.includes('Files')) return
    event.preventDefault()
    find('main').classList.toggle('dropping', name === 'dragover' || name === 'dragleave' && !!event.relatedTarget)
    if (name === 'drop') add(files)
  })
  list.onclick = (event) => {
    const chip = event.target.closest('.remove')?.parentElement
    if (!chip) return
    event.preventDefault()
    const id = find('input', chip).value
    if (id) fetch(`${pick.dataset.to}/${id}/delete`, {method: 'POST', headers: {Accept: 'application/json'}})
    chip.remove()
    find('#message').focus()
  }
  addEventListener('submit', (event) => {
    if (event.target !== form || !up()) return
    event.preventDefault()
    event.stopPropagation()
    wait(true)
  }, true)
}

// ---- Pictures, seen large: the arrows lead through those of the page.

const box = find('#lightbox')
let shown

function show(link) {
  if (!link) return
  shown = link
  const image = find('img', box), name = find('a', box)
  image.src = name.href = link.href
  image.alt = name.textContent = find('img', link).alt
}

function step(by) {
  const links = all('#log a.picture')
  show(links[links.indexOf(shown) + by])
}

addEventListener('click', (event) => {
  const link = event.target.closest?.('a.picture')
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  show(link)
  box.showModal()
})
box.onkeydown = ({key}) => step((key === 'ArrowRight') - (key === 'ArrowLeft'))
box.onclick = (event) => step(+(event.target.closest('[value]')?.value ?? 0))
