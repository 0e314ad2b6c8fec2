// What HTML, CSS and Datastar's attributes can't do about what is unread: the
// divider above the first unread message and the way to it, and a sound for
// calls. What decides about both is in views/unread.go.

const since = document.querySelector('#catch-up')
let passed // the mark whose divider was in sight

const sight = new IntersectionObserver(([entry]) => {
  if (entry.isIntersecting) passed = since.dataset.mark
  since.classList.toggle('shown', !entry.isIntersecting)
})

// The divider is drawn by CSS where data-new is: an element between messages
// would be in the way of patches, which take the attribute away, too.
function show() {
  const {mark} = since.dataset, log = document.querySelector('#log')
  let first = mark >= 0 && [...log.children].find((message) => +message.dataset.seq > mark)
  // The page may begin later than the first unread message.
  if (first && first === log.firstElementChild && !document.querySelector('#older.none') && !location.search.includes(`after=${mark}`)) first = null
  for (const old of log.querySelectorAll('[data-new]')) if (old.parentNode !== first) delete old.dataset.new
  const said = first && first.querySelector('.said'), words = since.firstElementChild.textContent
  if (said && said.dataset.new !== words) said.dataset.new = words
  sight.disconnect()
  since.classList.toggle('shown', first === null)
  if (first && passed !== mark) sight.observe(first)
}
if (since) {
  new MutationObserver(show).observe(since.parentNode, {subtree: true, childList: true, attributeFilter: ['data-mark']})
  show()
}

addEventListener('ring', () => {
  const audio = new AudioContext(), tone = audio.createOscillator(), volume = audio.createGain()
  tone.frequency.value = 660
  tone.connect(volume).connect(audio.destination)
  volume.gain.setValueAtTime(.2, 0)
  volume.gain.exponentialRampToValueAtTime(.001, .6)
  tone.start()
  tone.stop(.6)
})
