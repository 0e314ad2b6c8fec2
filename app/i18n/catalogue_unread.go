package i18n

// What is new to somebody, and how it is told.
var (
	UnreadWord   = text("unread", "条未读")
	CallsWord    = text("for you", "条找你")
	NewHere      = text("%d new", "%d 条新消息") // the page puts the number in
	JumpToUnread = text("Jump to the first unread message", "跳到第一条未读消息")
	MarkUnread   = text("Mark unread from here", "从这里标为未读")
	MarkRead     = text("Mark all as read", "全部标为已读")

	SinceNew     = count("%d new since %s", "%d new since %s", "%d 条新消息，始于 %s")
	SinceCalls   = count("%d mentions you", "%d mention you", "%d 条提到你")
	SinceEdited  = count("%d edited", "%d edited", "%d 条改过")
	SinceDeleted = count("%d deleted", "%d deleted", "%d 条已删除")
	ListComma    = list(", ", "，")

	Bell          = text("Notifications of this room", "这个房间的提醒")
	LevelAll      = text("Everything", "全部消息")
	LevelMentions = text("Mentions only", "只看提到我的")
	LevelNone     = text("Nothing", "什么都不提醒")
	LevelHidden   = text("Nothing, and hide the room", "不提醒，也不列出")
	BellHere      = text("In this browser, when somebody calls me", "有人叫我时，在这个浏览器里")
	BellOff       = text("No notification", "不通知")
	BellOn        = text("Notification", "通知")
	BellSound     = text("Notification and sound", "通知并响铃")
	BellDenied    = text("Your browser does not allow it here.", "浏览器不允许在这里通知。")
	HiddenRooms   = text("Hidden rooms", "隐藏的房间")
	ShowAgain     = text("Show again", "重新列出")

	InboxTitle  = text("Inbox", "收件箱")
	InboxHint   = text("Where somebody mentioned or answered you.", "提到你和回复你的消息。")
	InboxEmpty  = text("Nobody has called you yet.", "还没有人叫你。")
	CallReply   = text("answered you", "回复了你")
	CallMention = text("mentioned you", "提到了你")
	CallHere    = text("called everybody here", "叫了在场的所有人")
	UnreadMark  = text("unread", "未读")
	OlderCalls  = text("Older ones", "更早的")

	AwayNow     = text("away", "暂时离开")
	AwayCount   = count("%d away", "%d away", "%d 人离开")
	StatusLabel = text("Status", "状态")
	StatusHint  = text("One line beside your nickname, for everybody to see. Empty: none.", "昵称旁边的一行字，大家都能看到。留空则不显示。")
)
