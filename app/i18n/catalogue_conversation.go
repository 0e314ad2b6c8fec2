package i18n

// What belongs to a message.
var (
	Replies  = count("%d reply", "%d replies", "%d 条回复")
	Files    = text("Files", "文件")
	RoomMenu = text("More about this room", "这个房间的更多操作")
)
