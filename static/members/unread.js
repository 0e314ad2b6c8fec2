// What HTML, CSS and Datastar's attributes can't do about what is unread: the
// divider above the first unread message, and whether the way to it is needed.
// Where it stands is decided in views/unread.go.

const since = $('#catch-up')
let passed // the mark whose divider was in sight

const sight = new IntersectionObserver((entries) => {
  for (const {isIntersecting} of entries) {
    if (isIntersecting) passed = since.dataset.mark
    since.classList.toggle('shown', !isIntersecting)
  }
})

// The divider is drawn by CSS where data-new is: an element between messages
// would be in the way of patches, which take the attribute away, too.
function show() {
  const {mark, until, others} = since.dataset, log = $('#log')
  const unread = [...log.children].filter((message) => +message.dataset.seq > mark && +message.dataset.seq <= until && message.matches(others))
  let [first] = unread
  // The page may begin later than the first unread message.
  if (first && +log.firstElementChild.dataset.seq > mark && !$('#older.none') && !location.search.includes(`after=${mark}`)) first = null
  // Some may have been deleted since they were counted.
  if (first && $('#log.tail')) dispatchEvent(new CustomEvent('left', {detail: unread.length}))
  for (const old of log.querySelectorAll('[data-new]')) delete old.dataset.new
  if (first) first.querySelector('.said').dataset.new = since.firstElementChild.textContent
  sight.disconnect()
  // Whether it is in sight is known a frame later. Until then the way to it
  // stays as it was: somebody may be about to click it.
  if (first && passed !== mark) sight.observe(first)
  else since.classList.toggle('shown', first === null)
}
if (since) {
  new MutationObserver(show).observe(since.parentNode, {subtree: true, childList: true, attributeFilter: ['data-mark']})
  show()
}
