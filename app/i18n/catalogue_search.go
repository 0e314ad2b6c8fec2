package i18n

import "maps"

// Search.
var (
	Search           = text("Search", "搜索")
	SearchMessages   = text("Search messages", "搜索消息")
	SearchThisRoom   = text("Search this room", "搜索这个房间")
	SearchEverywhere = text("Search in all rooms", "在所有房间里搜索")
	SearchTitle      = text("%s · Search", "%s · 搜索")
	SearchResults    = text("Results", "结果")
	SearchNothing    = text("Nothing was found.", "没有找到。")
	SearchNoOlder    = text("Nothing older was found.", "没有更早的结果了。")
	SearchTry        = text("Try fewer words, other words, or no filters.", "试试少几个词、换个词，或者去掉筛选条件。")
	SearchNoPerson   = text("Nobody here is called “%s”.", "这里没有叫“%s”的人。")
	SearchNoRoom     = text("There is no room “%s”.", "没有“%s”这个房间。")
	SearchOlder      = text("Older results", "更早的结果")
	SearchToNewest   = text("To the newest results", "回到最新的结果")
	SearchRecent     = text("Recent searches", "最近的搜索")
	SearchForget     = text("Forget “%s”", "忘掉“%s”")
	SearchForgetAll  = text("Forget all", "全部忘掉")
	SearchHelp       = text("How to search", "怎样搜索")
	SearchIn         = text("in", "在")
	SearchGo         = text("Go", "前往")
	JumpToDate       = text("Jump to a date in %s", "跳到“%s”的某一天")

	SearchHelpWords   = text("messages with all the words, or words that begin like them", "同时含有这些词（或以它们开头的词）的消息")
	SearchHelpCJK     = text("Chinese, Japanese and Korean anywhere in a sentence, also a single character", "句子里任何位置的中文、日文、韩文，单个字也行")
	SearchHelpPhrase  = text("exactly these words, one after the other", "完全一致、前后相连的词")
	SearchHelpExclude = text("without a word; also -from:, -in: and -has:", "不含某个词；也可以是 -from：、-in：、-has：")
	SearchHelpFrom    = text("said by somebody; from:me is you", "某人说的；from：me 是你自己")
	SearchHelpRoom    = text("in one room", "在某个房间里")
	SearchHelpAfter   = text("on that day or later", "这一天或之后")
	SearchHelpBefore  = text("before that day, month or year", "这一天、这个月或这一年之前")
	SearchHelpOn      = text("on a day; also yesterday, 2026-11 or 2026", "某一天；也可以是 yesterday、2026-11 或 2026")
	SearchHelpHas     = text("with a link; also file, image, code, mention, reply, reaction, pin", "带链接；也可以是 file、image、code、mention、reply、reaction、pin")

	SearchExampleWords  = text("meeting tomorrow", "明天 开会")
	SearchExamplePhrase = text("“good morning”", "“早上好”")
	SearchExampleNot    = text("meeting -tomorrow", "开会 -明天")
)

func init() {
	maps.Copy(reasons, map[string]Text{
		"search-too-broad": text("There is too much to look through. Add a word, a room (in:) or a date (after:).", "要查找的内容太多了。再加一个词、一个房间（in：）或日期（after：）。"),
		"search-busy":      text("Many are searching just now. Try again in a moment.", "现在搜索的人很多。请稍后再试。"),
		"search-too-fast":  text("You searched a lot in a short time. Wait a moment, then search again.", "搜索得太快了。稍等一下再搜。"),
		"date-malformed":   text("That is not a date. Write it like 2026-11-03.", "这不是日期。请写成 2026-11-03 这样。"),
	})
}
