// What the modules share. They are served as one script, this first, so that
// what is said here is known to all of them; see static.go.

const $ = (selector) => document.querySelector(selector)

// watch looks now and after every patch, before it is painted.
function watch(look) {
  look()
  new MutationObserver(look).observe(document.body, {childList: true, characterData: true, subtree: true})
}
