// What the modules share. They are served as one script, this first, so that
// what is said here is known to all of them; see static.go.

const $ = (selector) => document.querySelector(selector)

// watch looks now and after every patch, before it is painted. A patch that
// brings what is there already, as after a gap, changes nothing but the titles
// that 0-times.js wrote: it takes them away.
function watch(look) {
  look()
  new MutationObserver(look).observe(document.body, {childList: true, characterData: true, subtree: true, attributeFilter: ['title']})
}
