package i18n

import "maps"

// Files: sending, showing, refusing.
var (
	AttachFiles    = text("Attach files", "添加文件")
	DropFiles      = text("Drop files to attach them", "松开即可添加文件")
	RemoveFile     = text("Remove %s", "移除 %s")
	RemoveThisFile = text("Remove file", "移除文件")
	FileUploading  = text("Uploading", "正在上传")
	FileNotSent    = text("did not arrive.", "没有传上来。")
	WaitForFiles   = text("Sends when the files are up …", "文件传完后发送……")
	DownloadFile   = text("Download", "下载")
	PictureLabel   = text("Picture", "图片")
	EarlierPicture = text("Previous picture", "上一张")
	LaterPicture   = text("Next picture", "下一张")
	OpenOriginal   = text("Open original", "打开原图")
)

var fileReasons = map[string]Text{
	"file-too-large": text("That file is too large. A file can have %d MB at most.", "文件太大了，最大 %d MB。"),
	"file-empty":     text("There is nothing in that file. Please choose another.", "这个文件是空的，请换一个。"),
	"file-cut":       text("The file did not arrive whole. Please send it again.", "文件没有传完整，请再传一次。"),
	"files-too-many": text("That is too many files. A message can have %d at most; put the others into another one.", "文件太多了。一条消息最多 %d 个，其余的请放到下一条里。"),
	"files-of-day":   text("You have sent a lot today: %d MB a day is the most. Please send this one tomorrow.", "你今天传得太多了，每天最多 %d MB，这个请明天再传。"),
	"files-full":     text("There is no room for more files here. Please tell whoever runs this server.", "这里已经放不下更多文件了，请告诉服务器的管理者。"),
	"files-at-once":  text("Too many of your files are on the way. Please wait until some have arrived.", "你同时上传的文件太多了，请等几个传完再试。"),
	"files-away":     text("Files can’t be taken at the moment. Messages can; please try the file again later.", "暂时不能接收文件，但可以发消息；文件请稍后再试。"),
	"file-gone":      text("A file of this message is not there any more. Please attach it again.", "这条消息的一个文件已经不在了，请重新添加。"),
	"file-sent":      text("That file was sent already. It goes when its message is deleted.", "这个文件已经发出去了，删除那条消息它才会消失。"),
	"no-such-file":   text("There is no such file, or it was deleted.", "没有这个文件，或者它已被删除。"),
}

func init() { maps.Copy(reasons, fileReasons) }
