// What HTML, CSS and Datastar's attributes can't do for a room's page: the
// reader's own time and days, the bounds of the log, and an outbox that never
// loses what was written. Everything else works without this file.

const $ = (selector, root = document) => root.querySelector(selector)
const lang = document.documentElement.lang
document.documentElement.classList.remove('no-script')

// ---- Times: the server writes UTC, the reader gets their own.

const format = (options) => new Intl.DateTimeFormat(lang, options)
const clock = format({hour: '2-digit', minute: '2-digit', hourCycle: 'h23'})
const full = format({dateStyle: 'long', timeStyle: 'short'})
const thisYear = format({weekday: 'long', day: 'numeric', month: 'long'})
const anyYear = format({weekday: 'long', day: 'numeric', month: 'long', year: 'numeric'})
const relative = new Intl.RelativeTimeFormat(lang, {style: 'short', numeric: 'auto'})

function ago(date) {
  const seconds = (date - Date.now()) / 1000
  for (const [unit, size] of [['day', 86400], ['hour', 3600], ['minute', 60]])
    if (seconds <= -size) return relative.format(Math.ceil(seconds / size), unit)
  return relative.format(0, 'second')
}

function showTimes() {
  for (const time of document.querySelectorAll('time')) {
    if (time.shown === time.textContent && !time.classList.contains('ago')) continue
    const date = new Date(time.dateTime)
    const text = time.shown = time.classList.contains('ago') ? ago(date) : clock.format(date)
    if (time.textContent !== text) time.textContent = text
    if (time.title !== full.format(date)) time.title = full.format(date)
  }
}

// A day's heading is an attribute of its first message, drawn by CSS: an
// element between messages would be in the way of patches.
function showDays() {
  const words = $('#scroll')?.dataset
  const midnight = new Date().setHours(0, 0, 0, 0)
  let before
  for (const message of document.querySelectorAll('#log > article')) {
    const date = new Date($('time', message).dateTime)
    const day = new Date(date).setHours(0, 0, 0, 0)
    const age = Math.round((midnight - day) / 86400000)
    const name = day === before ? '' : age === 0 ? words.today : age === 1 ? words.yesterday
      : (date.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(date)
    if (message.dataset.day !== name) message.dataset.day = name
    before = day
  }
}

// ---- The log holds at most this many messages (mostShown in app/rooms.go).

const most = 300

// bound takes messages away at the edge that nobody looks at: at the top for
// a reader at the end or on the way there, else at the bottom. Without its
// bottom the page is no longer the room's tail; a pill leads back.
function bound(log, scroller, added) {
  const atBottom = scroller.classList.contains('at-end'), tail = log.classList.contains('tail')
  if (atBottom && !tail && added.length && added.at(-1) === log.lastElementChild) {
    // Newer history came in below somebody at the lower edge: stay there.
    const last = added[0].previousElementSibling ?? added[0]
    scroller.scrollTop -= log.lastElementChild.getBoundingClientRect().bottom - last.getBoundingClientRect().bottom
  }
  let extra = log.childElementCount - most
  if (extra <= 0) return
  const fromTop = added[0] !== log.firstElementChild && (atBottom || !tail)
  for (; extra > 0; extra--) (fromTop ? log.firstElementChild : log.lastElementChild).remove()
  $(fromTop ? '#older' : '#newer').classList.remove('none')
  if (!fromTop) {
    log.classList.remove('tail')
    scroller.dispatchEvent(new CustomEvent('untailed'))
  }
}

// The log keeps to its end at 0 exactly. Where heights are no whole pixels a
// browser can scroll to 1, and from there the next message would be out of sight.
$('#scroll')?.addEventListener('scroll', (event) => {
  if (event.target.scrollTop > 0) event.target.scrollTop = 0
})

// ---- The outbox: what was sent and is not in the log yet.

const form = $('#composer'), text = form && $('textarea', form), box = $('#outbox')
const place = form && `${$('main').dataset.room}/${$('main').dataset.me}`
const outboxKey = `outbox/${place}`, draftKey = `draft/${place}`
// An item is {nonce, body, state, error, seq}; its state is sending, waiting
// (not stored yet, tried again by itself), failed, or sent.
let items = form ? JSON.parse(sessionStorage.getItem(outboxKey) ?? '[]').filter((item) => item.state !== 'sent') : []
let pumping = false, wake = () => {}

// A version 4 UUID (RFC 9562); crypto.randomUUID is missing on plain http.
function newNonce() {
  const b = crypto.getRandomValues(new Uint8Array(16))
  b[6] = b[6] & 15 | 64
  b[8] = b[8] & 63 | 128
  return Array.from(b, (x, i) => ([4, 6, 8, 10].includes(i) ? '-' : '') + x.toString(16).padStart(2, '0')).join('')
}

function make(name, className, textContent) {
  return Object.assign(document.createElement(name), {className, textContent})
}

function button(label, click) {
  const b = make('button', 'linklike', label)
  b.type = 'button'
  b.onclick = click
  return b
}

function showOutbox() {
  sessionStorage.setItem(outboxKey, JSON.stringify(items))
  box.replaceChildren(...items.map((item) => {
    const line = make('div', `pending ${item.state}`, '')
    const body = make('div', 'body', item.body)
    body.dir = 'auto'
    const words = {sending: form.dataset.sending, waiting: form.dataset.waiting, failed: form.dataset.failed}
    const state = make('p', 'state', `${words[item.state] ?? ''} ${item.error ?? ''}`)
    if (item.state === 'waiting' || item.state === 'failed') state.append(
      button(form.dataset.again, () => { item.state = 'sending'; item.error = ''; showOutbox(); wake(); pump() }),
      button(form.dataset.edit, () => {
        items = items.filter((other) => other !== item)
        // Its nonce goes along: if the first text was stored after all, the
        // server says so instead of storing both.
        form.dataset.nonce = item.nonce
        text.value = item.body + (text.value ? '\n' + text.value : '')
        sessionStorage.setItem(draftKey, text.value)
        showOutbox(); wake(); text.focus()
      }))
    line.append(body, state)
    return line
  }))
}

// settle takes away what has appeared in the log, or can't appear in it.
function settle() {
  const left = items.filter((item) => item.state !== 'sent' || $('#log.tail') && !$(`#m-${item.seq}`))
  if (left.length < items.length) { items = left; showOutbox() }
}

// pump sends one at a time, in order. What the server could not store yet is
// sent again with the same nonce, so it is never stored twice.
async function pump() {
  if (pumping) return
  pumping = true
  let wait = 1000
  for (let item; (item = items.find((item) => item.state === 'sending' || item.state === 'waiting'));) {
    let answer, problem = {}
    try {
      answer = await fetch(form.action, {
        method: 'POST', headers: {Accept: 'application/json'}, signal: AbortSignal.timeout(15000),
        body: new URLSearchParams({body: item.body, nonce: item.nonce}),
      })
      problem = await answer.json()
    } catch { /* no connection, or the answer was cut: the same as no answer */ }
    if (answer?.ok && problem.seq) {
      item.state = 'sent'
      item.seq = problem.seq
      wait = 1000
      showOutbox(); settle()
    } else if (!answer || answer.ok || answer.status === 429 || answer.status >= 500) {
      item.state = 'waiting'
      showOutbox()
      const seconds = Number(answer?.headers.get('Retry-After') ?? 0) || 0
      await new Promise((done) => { wake = done; setTimeout(done, Math.max(wait, seconds * 1000)) })
      wait = Math.min(2 * wait, 10000)
    } else {
      item.state = 'failed'
      item.error = problem.detail
      item.nonce = newNonce()
      showOutbox()
    }
  }
  pumping = false
}

if (form) {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (!text.value.trim()) return
    items.push({nonce: form.dataset.nonce || newNonce(), body: text.value, state: 'sending'})
    delete form.dataset.nonce
    text.value = ''
    sessionStorage.removeItem(draftKey)
    text.focus()
    showOutbox(); pump()
    $('#log.tail') ? $('#scroll').scrollTop = 0 : $('.pill').click()
  })
  text.addEventListener('input', () => sessionStorage.setItem(draftKey, text.value))
  // What stands there comes from the server; what it does not have yet is newer.
  text.value = sessionStorage.getItem(draftKey) || text.value
  addEventListener('online', () => wake())
  addEventListener('stored', () => wake()) // the database is back (views/page.templ)
  showOutbox(); pump()
}

// Enter sends, Shift+Enter breaks the line; the Enter that ends an input
// method's composition does neither (Safari says so only by 229).
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
  if (!event.target.matches('.composer textarea')) return
  event.preventDefault()
  event.target.form.requestSubmit()
})

// Copying a message's link. Without the clipboard (plain http, or not allowed)
// the link is simply followed, and stands in the address bar.
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a.copy')
  if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey) return
  event.preventDefault()
  navigator.clipboard.writeText(link.href).then(() => {
    link.classList.add('copied')
    $('#announce').textContent = $('#announce').dataset.copied
    setTimeout(() => { link.classList.remove('copied'); $('#announce').textContent = '' }, 1500)
  }, () => { location.href = link.href })
})

// ---- After every patch, before it is painted.

function refresh(records = []) {
  const log = $('#log')
  if (log) {
    const added = records.filter((r) => r.target === log).flatMap((r) => [...r.addedNodes]).filter((n) => n.isConnected && n.nodeType === 1)
    const scroller = $('#scroll'), kept = added[0] === log.firstElementChild && added.at(-1)?.nextElementSibling?.querySelector('.said > :last-child')
    const was = kept && kept.getBoundingClientRect().top
    if (added.length) bound(log, scroller, added)
    showDays()
    if (form) settle()
    // The scroller counts from its lower end, which moves when messages are
    // taken away there. Browsers do not always keep the place by themselves.
    const moved = kept && kept.getBoundingClientRect().top - was
    if (moved) scroller.scrollTop += moved
  }
  showTimes()
}
refresh()
new MutationObserver(refresh).observe(document.body, {childList: true, characterData: true, subtree: true})
setInterval(showTimes, 60000)
