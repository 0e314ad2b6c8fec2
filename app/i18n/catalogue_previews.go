package i18n

// Previews of links, pins, what one saves, and a message's menu.
var (
	PreviewOf      = text("Preview of a page on %s", "%s 上网页的预览")
	RemovePreview  = text("Remove preview of %s", "移除 %s 的预览")
	PreviewsInRoom = text("Look links up and show title and picture", "查看链接，并显示标题和图片")
	PreviewsHint   = text("This server asks the page once, for everybody; no reader’s browser does. Turned off, those that are there are hidden.", "由本服务器替大家访问一次该网页，读者的浏览器不会访问。关闭后，已有的预览也会隐藏。")

	Pin       = text("Pin to the room", "置顶到房间")
	Unpin     = text("Unpin", "取消置顶")
	PinnedBy  = text("Pinned by %s", "由 %s 置顶")
	Pins      = count("%d pinned message", "%d pinned messages", "%d 条置顶消息")
	PinsTitle = text("Pinned messages", "置顶消息")
	NoPins    = text("Nothing is pinned here. A message’s menu has “Pin to the room”.", "这里还没有置顶消息。在消息的菜单里可以“置顶到房间”。")
	PinsOf    = text("Pinned in %s", "“%s”的置顶消息")
	GoToRoom  = text("Back to the room", "回到房间")

	SaveForMe   = text("Save for me", "收藏")
	Unsave      = text("Remove from saved", "取消收藏")
	SavedTitle  = text("Saved messages", "我的收藏")
	NothingKept = text("Nothing saved yet. A message’s menu has “Save for me”; only you see this list.", "还没有收藏。在消息的菜单里可以“收藏”；只有你能看到这个列表。")
	OnlyYou     = text("Only you see this list.", "只有你能看到这个列表。")
	SavedMore   = text("Earlier ones", "更早的收藏")

	Pinned         = text("Pinned.", "已置顶。")
	Unpinned       = text("Unpinned.", "已取消置顶。")
	SavedForYou    = text("Saved. Only you see it.", "已收藏，只有你能看到。")
	Unsaved        = text("Taken off your list.", "已取消收藏。")
	PreviewRemoved = text("The preview is gone.", "预览已移除。")

	More          = text("More", "更多")
	MessageMenuOf = text("What to do with this message by %s", "对“%s”这条消息的操作")
)
