package main

import (
	"math"
	"math/rand/v2"
	"sort"
	"strings"
)

// talk makes messages as people write them, as far as a search can tell: some
// words are in every third message and most in hardly any (Zipf's law), most
// messages are short, a good quarter is Chinese, and some mix both.
type talk struct {
	random           *rand.Rand
	english, chinese words
}

// Words that the measurements look for. The very rare ones are put in by hand,
// since by chance they could be absent.
const (
	rareEnglish = "quixotic"
	rareChinese = "麒麟"
)

var commonEnglish = strings.Fields(`the to and a is it of you in that i we for on this not be have with are was but they at
	so can do will if there just what all about get like up out know now think time good one see work how make should
	yes no maybe today thanks please really build test deploy server meeting code room people message change fix problem`)

var commonChinese = strings.Fields(`的 是 我 不 了 在 有 就 我们 这个 可以 你 好 一下 今天 什么 没有 大家 问题 现在 时候 知道 觉得
	讨论 开会 聊天 应用 服务器 测试 部署 代码 消息 房间 明天 谢谢 一起 已经 还是 但是 因为 所以 需要 看看 东西 工作 时间 修改 完成`)

func newTalk(seed uint64) *talk {
	t := &talk{random: rand.New(rand.NewPCG(seed, seed))}
	english := commonEnglish
	syllables := strings.Fields("ba ce di fo gu ha in jo ka le mi no or pa que ri so tu va we xi yo za ent ion ing er al st tr")
	for len(english) < 40000 {
		var b strings.Builder
		for range 2 + t.random.IntN(3) {
			b.WriteString(syllables[t.random.IntN(len(syllables))])
		}
		english = append(english, b.String())
	}
	chinese := commonChinese
	for len(chinese) < 30000 {
		word := make([]rune, 2+t.random.IntN(8)/6)
		for i := range word {
			// Characters, too, are common or rare; three thousand are in use.
			word[i] = 0x4e00 + rune(3000*math.Pow(t.random.Float64(), 2))*6
		}
		chinese = append(chinese, string(word))
	}
	t.english, t.chinese = byZipf(english), byZipf(chinese)
	return t
}

// words with how often each comes, added up.
type words struct {
	list []string
	upTo []float64
}

func byZipf(list []string) words {
	w := words{list: list, upTo: make([]float64, len(list))}
	sum := 0.0
	for i := range list {
		sum += 1 / math.Pow(float64(i+2), 1.05)
		w.upTo[i] = sum
	}
	return w
}

func (w words) pick(r *rand.Rand) string {
	return w.list[sort.SearchFloat64s(w.upTo, r.Float64()*w.upTo[len(w.upTo)-1])]
}

// message makes the next message.
func (t *talk) message() string {
	var b strings.Builder
	length := 2 + int(t.random.ExpFloat64()*9)
	kind := t.random.IntN(100)
	for i := range min(length, 60) {
		switch {
		case kind < 68, kind >= 95 && i%4 != 0:
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(t.english.pick(t.random))
		default:
			if i > 0 && t.random.IntN(8) == 0 {
				b.WriteString("，")
			}
			b.WriteString(t.chinese.pick(t.random))
		}
	}
	switch t.random.IntN(20000) {
	case 0:
		b.WriteString(" " + rareEnglish)
	case 1:
		b.WriteString(rareChinese)
	}
	if t.random.IntN(25) == 0 {
		b.WriteString(" https://example.org/" + t.english.pick(t.random))
	}
	return b.String()
}
