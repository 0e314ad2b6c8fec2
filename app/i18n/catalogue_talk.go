package i18n

import "maps"

// Editing, and what was there before.
var (
	EditUntil       = text("Can be changed until", "可以修改到")
	PresentText     = text("As it is now:", "现在的内容：")
	YourText        = text("What you wrote:", "你写的内容：")
	EarlierVersions = text("Earlier versions", "历史版本")
	NoEarlier       = text("There is no earlier version.", "没有更早的版本。")
	PresentVersion  = text("Now", "现在")
	MoreVersions    = text("Still earlier ones", "更早的版本")
	BackToMessage   = text("Back to the message", "回到消息")
)

// Answering a message.
var (
	Reply          = text("Reply", "回复")
	ReplyingTo     = text("Replying to", "回复")
	CancelReply    = text("Don’t reply to it", "不回复了")
	Thread         = text("Thread", "话题串")
	ThreadIn       = text("in %s", "在“%s”")
	BackToRoom     = text("Back to %s", "回到“%s”")
	ReplyInThread  = text("Reply in this thread", "在这里回复")
	NoReplies      = text("Nobody has replied yet.", "还没有人回复。")
	EarlierReplies = text("Earlier replies", "更早的回复")
	LaterReplies   = text("Later replies", "之后的回复")
	QuotedFiles    = count("%d file", "%d files", "%d 个文件")
)

// Commands, and what they show.
var (
	HelpTitle     = text("What you can type", "可以输入什么")
	HelpCommands  = text("Commands", "命令")
	HelpFormat    = text("Formatting", "格式")
	HelpKeys      = text("Keys", "按键")
	HelpEscape    = text("a text that begins with a slash", "以斜杠开头的文字")
	HelpSmile     = text("emoji by name", "按名字输入表情")
	HelpMention   = text("call somebody by name", "点名叫某人")
	HelpHere      = text("call everybody who is here", "叫在场的所有人")
	HelpEnter     = text("send; on a touch screen: new line", "发送；在触摸屏上：换行")
	HelpNewLine   = text("new line", "换行")
	HelpLast      = text("in an empty composer: change what you said last", "输入框为空时：修改你的上一条消息")
	HelpEscapeKey = text("give up editing or replying", "放弃编辑或回复")
	HelpReplyKey  = text("on a message: reply to it", "焦点在消息上时：回复它")
	NobodyIsHere  = text("Nobody is here right now.", "现在没有人在场。")

	// CommandHelp explains each command: what stands behind it, and what it does.
	CommandHelp = map[string][2]Text{
		"me":     {text("waves", "挥了挥手"), text("say what you do, in the third person", "用第三人称说你在做什么")},
		"nick":   {text("name", "昵称"), text("take another nickname", "换个昵称")},
		"topic":  {text("text", "文字"), text("change the room’s topic, if it is your room", "修改话题（限自己的房间）")},
		"join":   {text("room", "房间"), text("go to another room, or make it", "去另一个房间，没有就新建")},
		"who":    {{}, text("who is here", "谁在场")},
		"search": {text("words", "词语"), text("look for something said in this room", "在这个房间里搜索")},
		"help":   {{}, text("this page", "本页")},
	}
	HelpBold    = text("bold", "粗体")
	HelpItalic  = text("italic", "斜体")
	HelpStruck  = text("struck out", "删除线")
	HelpCode    = text("code", "代码")
	HelpBlock   = text("a block of code, with the language’s name behind the first backticks", "代码块，第一行反引号后可以写语言名")
	HelpQuote   = text("quotation", "引用")
	HelpList    = text("list", "列表")
	HelpTask    = text("list of things to do", "待办列表")
	HelpHeading = text("heading", "标题")
	HelpLink    = text("link", "链接")
)

var talkReasons = map[string]Text{
	"edit-too-late":      text("It was said too long ago to be changed. You can say something new, or delete it.", "时间太久，不能再修改了。可以另说一条，或者删除它。"),
	"parent-deleted":     text("The message you wanted to reply to was deleted meanwhile. Your text is kept; you can say it without replying.", "你要回复的消息刚才已经删除。你写的内容还在，可以直接发出来。"),
	"no-such-parent":     text("The message you wanted to reply to is not in this room. Your text is kept; you can say it without replying.", "这个房间里没有你要回复的消息。你写的内容还在，可以直接发出来。"),
	"command-unknown":    text("There is no command /%s. See /help for those there are; to say a text that begins with a slash, type two of them.", "没有 /%s 这个命令。输入 /help 可以查看所有命令；想发以斜杠开头的文字，请输入两个斜杠。"),
	"command-needs-text": text("Please write something behind /%s.", "请在 /%s 后面写点什么。"),
	"command-one-line":   text("What stands behind /%s must be on one line.", "/%s 后面的内容要写在一行里。"),
	"command-alone":      text("/%s stands alone. To say this as a text, begin it with two slashes.", "/%s 要单独使用。想把这段文字发出来，请以两个斜杠开头。"),
}

func init() { maps.Copy(reasons, talkReasons) }
