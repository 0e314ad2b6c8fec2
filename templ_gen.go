package main

// What is generated: Go from the .templ files (committed, so that a fresh
// clone builds and editors work), and the Datastar client (fetched by the
// go:generate line in static/, never committed).
//
//go:generate go tool templ generate -path views -lazy
