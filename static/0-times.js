// The reader's own time: the server writes UTC, this writes each <time> in the
// reader's zone and language. log.js uses it for the headings of days.

const lang = document.documentElement.lang
const format = (options) => new Intl.DateTimeFormat(lang, options).format
const clock = format({timeStyle: 'short', hourCycle: 'h23'})
const longDate = format({dateStyle: 'full'})
const relative = new Intl.RelativeTimeFormat(lang, {numeric: 'auto'}) // "yesterday", "3 days ago"

const midnight = (time) => new Date(time).setHours(0, 0, 0, 0)
// Some days have 23 or 25 hours.
const daysAgo = (time) => Math.round((midnight(Date.now()) - midnight(time)) / 86400000)
const nameOf = (time) => relative.format(-daysAgo(time), 'day')

watch(() => {
  // The server gives no title: what has one was written here, and is not patched since.
  for (const element of document.querySelectorAll('time:not([title])')) {
    const time = new Date(element.dateTime)
    element.textContent = element.matches('.ago') && daysAgo(time) ? nameOf(time) : clock(time)
    element.title = `${longDate(time)} ${clock(time)}`
  }
})
