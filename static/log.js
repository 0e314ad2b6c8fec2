// A room's log: a page holds a limited number of messages under the headings of
// their days, and whoever reads keeps their place when some come in or go.

const most = 300 // messages; mostShown in app/rooms.go
const scroller = $('#scroll')
const bottom = (element) => element.getBoundingClientRect().bottom
let first, last // the messages at the edges, at the last look

// A day's heading is an attribute of its first message, drawn by CSS: an
// element between messages would be in the way of patches.
function showDays(messages) {
  let before
  for (const message of messages) {
    const {dataset} = message, time = new Date(message.querySelector('.when time').dateTime), day = midnight(time)
    const name = day === before ? '' : daysAgo(time) < 2 ? nameOf(time) : longDate(time)
    if (dataset.day !== name) dataset.day = name
    before = day
  }
}

if (scroller) {
  // Messages are taken away at the edge that nobody looks at: at the top for a
  // reader at the end or on the way there, else at the bottom. Without its
  // bottom the page is no longer the room's tail; a pill leads back.
  watch(() => {
    const log = $('#log'), messages = [...document.querySelectorAll('#log > article')]
    const atEnd = scroller.matches('.at-end'), tail = log.matches('.tail, .newest')
    const older = first?.isConnected && first !== messages[0], was = older && bottom(first)
    const newer = last?.isConnected && last !== messages.at(-1)
    // Newer history came in below somebody at the lower edge: stay there.
    if (newer && atEnd && !tail) scroller.scrollTop -= bottom(messages.at(-1)) - bottom(last)
    if (messages.length > most && !log.matches('.newest')) { // of a thread
      const fromTop = !older && (atEnd || !tail)
      for (const message of messages.splice(fromTop ? 0 : most, messages.length - most)) message.remove()
      $(fromTop ? '#older' : '#newer')?.classList.remove('none')
      if (!fromTop) scroller.dispatchEvent(new Event('untailed'))
    }
    showDays(messages)
    // The scroller counts from its lower end, which moves when messages are
    // taken away there, and browsers move it when a heading goes.
    if (older) scroller.scrollTop += bottom(first) - was
    first = messages[0]
    last = messages.at(-1)
  })

  // The log keeps to its end at 0 exactly. Where heights are no whole pixels a
  // browser can scroll to 1, and from there the next message would be out of sight.
  scroller.onscroll = () => {
    if (scroller.scrollTop > 0) scroller.scrollTop = 0
  }
}
