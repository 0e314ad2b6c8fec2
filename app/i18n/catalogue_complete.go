package i18n

// Completing a word that is typed.
var Completions = text("Suggestions", "建议")
