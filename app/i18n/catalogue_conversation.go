package i18n

// What belongs to a message.
var (
	Replies   = count("%d reply", "%d replies", "%d 条回复")
	Reactions = text("Reactions", "回应")
	Files     = text("Files", "文件")
)
