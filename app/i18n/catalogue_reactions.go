package i18n

// Reactions, and people who are called.
var (
	React       = text("React", "添加表情")
	WhoReacted  = text("Who reacted", "谁回应了")
	Yours       = text("yours", "有你")
	AndMoreDid  = count("and %d more", "and %d more", "等另外 %d 人")
	FindEmoji   = text("Find an emoji", "查找表情")
	Find        = text("Find", "查找")
	NoSuchEmoji = text("No emoji has that name. You can also put the emoji itself in here.", "没有叫这个名字的表情。也可以直接输入表情本身。")
	QuickEmoji  = text("Often used", "常用")

	HereName       = text("here", "在座")
	CallsEverybody = count("%d person here now", "all %d people here now", "现在在场的 %d 人")
)
