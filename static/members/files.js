// Files of a message that is being written. What the composer's field for files
// was given (picked, dropped or pasted: views/files.templ) is sent at once, one
// file after another. Each stands there as an element of class "attachment":
// "up" while it comes in, "bad" when it could not, and "never" if it is no use to
// try again. Once a file is in, the field in its element has the id that goes with
// the message (static/members/outbox.js). When nothing is under way any more, the
// event "arrived" says so. Without this file the form sends them.

const pick = $('.attach input')
let underWay = Promise.resolve()

function add(file) {
  const chip = $('.attachments').appendChild($('#composer template').content.firstElementChild.cloneNode(true))
  const part = (selector) => chip.querySelector(selector)
  const put = (state, error = '') => {
    chip.className = 'attachment ' + state
    part('.error').textContent = error
  }
  const send = () => {
    put('up')
    underWay = underWay.then(() => new Promise((done) => {
      const request = new XMLHttpRequest(), data = new FormData()
      data.append('upload', file)
      request.open('POST', pick.dataset.to)
      request.setRequestHeader('Accept', 'application/json')
      request.responseType = 'json'
      request.upload.onprogress = (event) => chip.isConnected ? part('progress').value = event.loaded / event.total : request.abort()
      request.onloadend = () => {
        const {id, thumb, status, detail = pick.dataset.failed} = request.response ?? {}
        part('input').value = id ?? ''
        if (thumb) part('img').src = thumb
        id ? put('') : put(status === 422 ? 'bad never' : 'bad', detail) // it breaks a rule (chat.Invalid), and always will
        $('.up') || pick.dispatchEvent(new Event('arrived', {bubbles: true}))
        done()
      }
      chip.isConnected ? request.send(data) : request.onloadend() // taken away meanwhile
    }))
  }
  part('.name').textContent = file.name
  part('.again').onclick = send
  file.size > pick.dataset.most ? put('bad never', pick.dataset.large) : send()
}

pick?.addEventListener('change', () => {
  for (const file of pick.files) add(file)
  pick.value = ''
})
