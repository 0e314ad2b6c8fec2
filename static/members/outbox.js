// The composer and its outbox: what was written is kept, below the log and in
// sessionStorage, until it stands in the log or its author takes it back.
//
// An item is a copy of .pending (views/room.templ). Its class is its state:
// sending, waiting (not stored yet, tried again by itself), failed, or sent
// (stored as data-seq, and not in the log yet). Its data-fields are all that
// the form had to say, so that others add to a message by named inputs within
// the parts of #extras, which the item takes over.

const form = $('#composer')
if (form) {
  const text = $('#message'), extras = $('#extras'), outbox = $('#outbox'), pattern = $('.pending'), {key} = form.elements.nonce.dataset
  let wake = () => {} // ends the pause before the next try

  // A nonce names an item, whatever becomes of the first answer. A blob's URL
  // ends in a random UUID (File API, 8.1); crypto.randomUUID is missing on
  // plain http.
  const newNonce = () => URL.createObjectURL(new Blob()).slice(-36)
  let nonce = newNonce() // of what is being written
  form.elements.nonce.remove() // it is for those without script

  let added // what stood in #extras at the last save
  function save(draft = text.value) {
    added = extras.innerHTML
    sessionStorage.setItem(key, JSON.stringify([outbox.innerHTML, draft, added]))
  }

  function become(item, state, error = '') {
    item.className = `pending ${state}`
    item.querySelector('.state').textContent = `${item.dataset[state]} ${error}`
    save()
    wake()
  }

  // settle takes away what has appeared in the log, or can't appear in it.
  function settle() {
    const tail = $('#log.tail'), newest = tail?.lastElementChild?.dataset.seq ?? 0
    for (const item of outbox.querySelectorAll('.sent'))
      if (!tail || !(newest - item.dataset.seq < 0)) item.remove()
  }

  // One item is sent at a time, in order. What the server could not store yet
  // is sent again with the same nonce, so it is never stored twice.
  async function send() {
    for (let pause = 2000; ;) { // ms; retryAfter in app/errors.go
      const item = outbox.querySelector('.sending, .waiting')
      let answer = {status: 503} // as long as the server says nothing else that is whole
      if (item) try {
        answer = await (await fetch(form.action, {
          method: 'POST', headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(15000),
          body: new URLSearchParams(`${item.dataset.fields}&nonce=${item.dataset.nonce}`),
        })).json()
      } catch {}
      const {seq, go, dialog, status, detail} = answer
      if (!status) { // it was stored as seq, or it was a command
        pause = 2000
        item.dataset.seq = seq
        become(item, 'sent')
        if (go) location = go
        if (dialog) document.dispatchEvent(new CustomEvent('ask', {detail: dialog}))
      } else if (status < 500 && status !== 429) {
        item.dataset.nonce = newNonce()
        item.dataset.status = status
        become(item, 'failed', detail)
      } else {
        if (item) become(item, 'waiting')
        await new Promise((done) => {
          wake = done
          if (item) setTimeout(done, pause)
        })
        pause = Math.min(2 * pause, 10000)
      }
    }
  }

  form.onsubmit = (event) => {
    event.preventDefault()
    // What was left empty is not said, and files go by themselves, before.
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim?.()))
    if (!fields.has('body') && !fields.has('file')) return
    const item = pattern.cloneNode(true), [chips, body] = item.children
    Object.assign(item.dataset, {fields, nonce})
    chips.innerHTML = extras.innerHTML
    for (const bad of chips.querySelectorAll('.bad')) bad.remove() // that one stays in the composer
    body.textContent = text.value
    for (const extra of extras.querySelectorAll(':scope > * > :not(.bad)')) extra.remove()
    outbox.append(item)
    nonce = newNonce()
    text.value = ''
    text.focus()
    become(item, 'sending')
    $('.foot .pill').click() // to the end
  }

  outbox.onclick = ({target: {name, parentElement: item}}) => {
    if (name === 'again') become(item, 'sending')
    if (name === 'edit') {
      // Its nonce goes along: if the first text was stored after all, the
      // server says so instead of storing both.
      const [chips, body] = item.children
      nonce = item.dataset.nonce
      extras.innerHTML = chips.innerHTML
      text.value = `${body.textContent}\n${text.value}`.trim()
      text.focus()
      item.remove()
      save()
    }
    if (name === 'discard') {
      item.remove()
      text.dispatchEvent(new Event('input', {bubbles: true})) // it is no draft any more, either
      text.focus()
    }
  }

  const [html, draft, chips] = JSON.parse(sessionStorage.getItem(key) ?? '["", ""]')
  outbox.innerHTML = html
  if (chips) extras.innerHTML = chips
  for (const cut of extras.querySelectorAll('.up, .bad')) cut.remove() // files that did not arrive
  text.value = draft || text.value // which the server kept; what it did not get yet is newer
  text.oninput = () => save()
  form.addEventListener('arrived', () => save()) // files are there (static/members/files.js), or the session is gone (views/page.templ)
  form.addEventListener('kept', () => save('')) // the server has the draft (views/unread.go)
  addEventListener('stored', () => wake()) // the database is back, or the network (views/page.templ)
  watch(() => {
    settle()
    if (extras.innerHTML !== added) save()
  })
  send()
}
