package i18n

// Everywhere.
var (
	About        = text("Parlor is a chat that belongs to whoever runs it.", "Parlor 是一处自己架设、归自己所有的聊天室。")
	LanguageName = text("English", "简体中文")
	BackToLobby  = text("Back to the lobby", "回到门厅")
	Cancel       = text("Cancel", "取消")
	Close        = text("Close", "关闭")
	ToComposer   = text("Jump to the composer", "跳到输入框")

	ThemeSystem = text("System", "跟随系统")
	ThemeLight  = text("Light", "浅色")
	ThemeDark   = text("Dark", "深色")
)

// Lobby.
var (
	Headline        = text("Come in. Take a name, find a room, talk.", "请进。取个名字，找间屋子，聊聊天。")
	Subline         = text("No account, no e-mail. You can look around first: the rooms below are live.", "不用注册，不用邮箱。也可以先随便看看：下面的房间都是实时的。")
	NicknameLabel   = text("Nickname", "昵称")
	NicknameHint    = text("Any name you like, in any script.", "随便什么名字，什么文字都行。")
	NicknameSuggest = text("Free right now:", "现在可用：")
	TakeNickname    = text("Take a nickname", "取个昵称")
	ComeIn          = text("Come in", "进来")
	WelcomeBack     = text("Welcome back, %s.", "欢迎回来，%s。")
	MakeRoom        = text("Make a room", "新建房间")
	NobodyHere      = text("nobody here", "现在没人")
	HereNow         = count("%d here", "%d here", "%d 人在线")
)

// Hall: the rooms beside the room.
var (
	Rooms          = text("Rooms", "房间")
	AllRooms       = text("All rooms", "所有房间")
	ChangeNickname = text("Change nickname", "改昵称")
	SignOut        = text("Sign out", "退出")
	LookingAround  = text("looking around", "随便看看")
)

// Room.
var (
	MessagesLabel   = text("Messages", "消息")
	EmptyRoomTitle  = text("It’s quiet in here.", "这里还很安静。")
	EmptyRoomText   = text("Say the first word. Whoever comes later will read it.", "说第一句话吧，后来的人都会看到。")
	BeginningOfRoom = text("This is where %s begins.", "“%s”从这里开始。")
	Older           = text("Older messages", "更早的消息")
	Newer           = text("Newer messages", "更新的消息")
	ToNewest        = text("To the newest ↓", "回到最新 ↓")
	NewBelow        = text("%d new below ↓", "下面有 %d 条新消息 ↓") // the page puts the number in
	AwayDivider     = count("%d message while you were away", "%d messages while you were away", "你离开时有 %d 条消息")
	ToFirstOfThem   = text("to the first of them", "看第一条")
	People          = text("People", "在场的人")
	HereHeading     = count("Here · %d", "Here · %d", "在场 · %d")
	AndMore         = count("and %d more", "and %d more", "还有 %d 人")
	Typing          = text("typing …", "正在输入……")
	SpectatorPrompt = text("You are looking around. Take a name to join in.", "你正在旁观。取个名字，就能一起聊。")
	TimesAreUTC     = text("Times are in UTC.", "时间均为 UTC（协调世界时）。")
)

// Saying something.
var (
	MessageLabel   = text("Message", "消息")
	SaySomething   = text("Say something in %s", "在“%s”说点什么")
	Send           = text("Send", "发送")
	Sending        = text("Sending …", "发送中……")
	NotSent        = text("Not sent.", "没发出去。")
	NotStoredYet   = text("Not stored yet, your text is kept.", "还没存好，你写的内容还在。")
	Again          = text("Send again", "重新发送")
	EditAgain      = text("Edit again", "再改改")
	Discard        = text("Discard", "丢弃")
	YourTextIsKept = text("Your text, so that nothing is lost", "你写的内容还在这里")
)

// One message.
var (
	CopyLink           = text("Copy link", "复制链接")
	LinkCopied         = text("Link copied", "链接已复制")
	Edit               = text("Edit", "编辑")
	Edited             = text("edited", "已编辑")
	EditingYourMessage = text("Editing your message", "正在编辑你的消息")
	Save               = text("Save", "保存")
	Delete             = text("Delete", "删除")
	DeleteAsk          = text("Delete this message?", "要删除这条消息吗？")
	DeleteConfirm      = text("Delete for everyone", "为所有人删除")
	KeepIt             = text("Keep it", "留着")
	DeletedMessage     = text("This message was deleted.", "这条消息已删除。")
)

// Making and changing a room.
var (
	RoomSettings  = text("Room settings", "房间设置")
	RoomName      = text("Name", "名称")
	TopicOptional = text("Topic (optional)", "话题（选填）")
	CreateRoom    = text("Create room", "创建房间")
	SaveChanges   = text("Save changes", "保存更改")
)

// Connection.
var (
	OfflineBanner   = text("Connection lost. Go on writing; what you miss comes when it is back.", "连接断开了。可以继续写；恢复后，错过的内容都会出现。")
	AwayBanner      = text("The database can’t be reached right now. You can read what is here; posting is paused.", "暂时连不上数据库。这里的内容可以看，发言先停一停。")
	AwayPaused      = text("Posting is paused until the database is back.", "数据库恢复之前，暂时不能发言。")
	LookAgain       = text("Look again", "再看看")
	SignedOutBanner = text("You are not signed in as %s here any more. What you wrote is kept.", "这里的 %s 已经退出了。你写的内容还在。")
	GoOn            = text("Go on", "继续")
	ParkedNotice    = text("This tab rests; it wakes when you look at it.", "这个标签页在休息，你一看它就会醒来。")
)

// titles of error pages, by status code.
var titles = map[int]Text{
	400: text("That made no sense", "没看懂这个请求"),
	401: text("A nickname first", "先取个昵称吧"),
	403: text("That’s not allowed", "这样不行"),
	404: text("Nothing here", "这里什么也没有"),
	405: text("Not this way", "此路不通"),
	409: text("Someone was there first", "和已有的内容冲突了"),
	413: text("Too big", "太大了"),
	422: text("Not quite", "还差一点"),
	429: text("A little slower", "慢一点"),
	500: text("Something broke", "出错了"),
	503: text("Back in a moment", "马上回来"),
}

// ErrorTitle is the heading of the error page with a status code.
func ErrorTitle(l Lang, status int) string {
	title, known := titles[status]
	switch {
	case known:
	case 400 <= status && status < 500:
		title = titles[400]
	default:
		title = titles[500]
	}
	return title.In(l)
}

// reasons are the sentences for package chat's reasons, each with a way on.
var reasons = map[string]Text{
	"nickname-empty":      text("Please type a nickname; one letter is enough.", "请输入昵称，一个字也行。"),
	"nickname-too-long":   text("That nickname is too long. Make it %d characters at most.", "昵称太长了，最多 %d 个字符。"),
	"nickname-invisible":  text("That nickname has characters nobody can see. Type it afresh with visible ones.", "昵称里有看不见的字符，请用看得见的字符重新输入。"),
	"nickname-forbidden":  text("A nickname can’t have “%s” there. Leave it out and try again.", "昵称里不能这样用“%s”，去掉后再试试。"),
	"nickname-taken":      text("Someone here is already called %s. Please choose another name.", "已经有人叫“%s”了，换一个吧。"),
	"nickname-reserved":   text("%s means somebody else here, whoever types it. Please choose another name.", "“%s”在这里另有所指，换一个吧。"),
	"nickname-look-alike": text("That looks too much like %s, who is already here. Please choose another name.", "这和已有的“%s”看起来太像了，换一个吧。"),

	"room-name-empty":     text("Please give the room a name.", "请给房间起个名字。"),
	"room-name-too-long":  text("That name is too long. Make it %d characters at most.", "名称太长了，最多 %d 个字符。"),
	"room-name-taken":     text("There is a room with that name already. Please choose another, or join that one.", "已经有同名的房间了。换个名字，或者去那间看看。"),
	"room-name-forbidden": text("That name has characters that can’t be shown in one line. Leave them out and try again.", "名称里有无法在一行里显示的字符，去掉后再试试。"),
	"room-kind-unknown":   text("There is no such kind of room. Please go back and choose one that is offered.", "没有这种房间。请返回，从列出的种类里选一个。"),
	"topic-too-long":      text("That topic is too long. Make it %d characters at most.", "话题太长了，最多 %d 个字符。"),

	"message-empty":          text("There is nothing to read in it yet. Write something first.", "还没有内容，先写点什么吧。"),
	"message-too-long":       text("That message is too long: at most %d KiB fit. Send it in parts.", "消息太长了，最多 %d KiB。分几条发吧。"),
	"message-too-many-lines": text("That message has too many lines: at most %d fit. Send it in parts.", "消息行数太多了，最多 %d 行。分几条发吧。"),
	"message-not-text":       text("Some of that is not text (not valid UTF-8). Copy it again as plain text.", "其中有些不是文字（不是有效的 UTF-8）。请以纯文本重新复制一次。"),
	"edit-conflict":          text("The message was changed meanwhile, in another tab or on another device. Compare the two texts, and save again what you want to keep.", "这条消息刚才在别的标签页或设备上改过。请比较两个版本，再保存想要的那个。"),
	"message-deleted":        text("That message has been deleted and can’t be changed. You can say it anew.", "这条消息已经删除，不能再改。可以重新说一次。"),

	"not-an-emoji":      text("That is not one emoji. Pick one from the list, or type a single one.", "那不是一个表情。请从列表里选一个，或者只输入一个表情。"),
	"too-many-emoji":    text("This message has %d different emoji already. Add to one of those.", "这条消息已有 %d 种表情，请从其中选一个。"),
	"reaction-too-late": text("That message has been deleted, so there is nothing left to react to.", "这条消息已经删除，没法再回应了。"),
	"too-many-pins":     text("This room has %d pinned messages already. Unpin one that is no longer needed, then pin this one.", "这个房间已有 %d 条置顶消息。先取消一条不再需要的，再置顶这条。"),
	"too-many-saved":    text("You keep %d messages already. Take one off your list, then save this one.", "你已经收藏了 %d 条消息。先取消一条，再收藏这条。"),
	"level-unknown":     text("There is no such setting. Choose one of those that are offered.", "没有这个选项。请从列出的里面选一个。"),
	"status-too-long":   text("That status is too long. Make it %d characters at most.", "状态太长了，最多 %d 个字符。"),

	"nonce-malformed":  text("This form came back damaged. Reload the page and send it again.", "表单在途中损坏了。请刷新页面后重新发送。"),
	"nonce-reused":     text("This form has already sent another message. Your text is kept; send it once more.", "这个表单已经发过另一条消息。你写的内容还在，请再发一次。"),
	"cursor-malformed": text("That place in the conversation can’t be read. Open the room again.", "看不懂这个阅读位置。请重新打开房间。"),
	"place-malformed":  text("That place in the conversation can’t be read. Open the room again to see its newest messages.", "看不懂这个位置。请重新打开房间，查看最新消息。"),
	"form-malformed":   text("This form could not be read. Go back and send it again.", "无法读取这个表单。请返回后重新提交。"),

	"need-nickname":    text("Take a nickname first, then go on.", "先取个昵称，再继续。"),
	"not-yours":        text("Only the one who wrote it can do that. You can answer it instead.", "只有作者本人可以这样做。你可以回复这条消息。"),
	"not-your-room":    text("Only the one who made this room can change it. You can make a room of your own.", "只有房间的创建者可以更改。你可以自己开一间。"),
	"no-such-page":     text("There is no page at this address. The lobby shows all that is here.", "这个地址没有页面。所有房间都在门厅里。"),
	"no-such-room":     text("There is no such room. The lobby shows those there are.", "没有这个房间。门厅里可以看到现有的房间。"),
	"no-such-message":  text("There is no such message in this room. The newest ones are still there to read.", "这个房间里没有这条消息。可以去看看最新的。"),
	"wrong-method":     text("This address can’t be used like that. Start again from the lobby.", "这个地址不能这样访问。请从门厅重新开始。"),
	"cross-site":       text("This came from another site, so nothing was done. Open Parlor itself and try again.", "这个请求来自别的网站，所以没有执行。请直接打开 Parlor 再试一次。"),
	"request-too-big":  text("That is more than fits into one request. Go back, make it shorter, and send it again.", "内容超出了一次能发送的大小。请返回，缩短后再发一次。"),
	"too-fast":         text("That was quick. Wait a moment, then send it again.", "太快了。稍等一下，再发一次。"),
	"too-many-names":   text("Too many new nicknames came from your network. Try again in a while.", "你所在的网络取的新昵称太多了。过一会儿再试。"),
	"too-many-rooms":   text("Many new rooms came from your network. Try again in a while.", "你所在的网络新建了很多房间。过一会儿再试。"),
	"too-many-streams": text("Too many pages are open at once. Close some, then reload this one.", "同时打开的页面太多了。关掉几个，再刷新这一页。"),
	"database-away":    text("The database can’t be reached just now. Nothing is lost; try again in a moment.", "暂时连不上数据库。内容不会丢，请稍后再试。"),
	"draining":         text("This server is being restarted; try again in a moment.", "服务器正在重启，请稍后再试。"),
	"not-stored":       text("Not stored yet; your text is kept. Send it again in a moment.", "还没存好，你写的内容还在。请稍后再发一次。"),
	"internal":         text("That is our fault, and it has been noted. Try again in a moment.", "是我们的错，已经记录下来。请稍后再试。"),
}

// Reason is the sentence for one of package chat's reasons, with its
// arguments; false when there is none.
func Reason(l Lang, reason string, args ...any) (string, bool) {
	t, known := reasons[reason]
	if !known {
		return "", false
	}
	return t.In(l, args...), true
}
