package chat_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"parlor/app/chat"
)

func TestANicknameIsFoundByWhatOneBeginsToType(t *testing.T) {
	for _, c := range []struct {
		nickname string
		typed    []string
		not      []string
	}{
		{"Ann", []string{"", "a", "A", "ann", "ＡＮＮ"}, []string{"n", "anna", "b"}},
		{"Zoë Bell", []string{"zoe", "ZOË", "zoë b", "bell", "zb", "zoebell"}, []string{"oe", "ell", "bz"}},
		{"张三", []string{"张", "张三", "三", "zhang", "zhangs", "zhangsan", "zs", "ZS", "san"}, []string{"hang", "sz", "李"}},
		{"张 三", []string{"张 三", "zs", "zhangsan", "三"}, nil},
		{"曾小乐", []string{"zeng", "ceng", "zxl", "cxl", "xiaole", "xl", "小乐"}, []string{"zang"}},
		{"单仁", []string{"shanren", "danren", "sr", "dr"}, nil},
		{"吕布", []string{"lvbu", "lb"}, nil},
		{"小Bob王", []string{"xiaobobwang", "xbw", "bob", "bobwang", "bw", "王"}, nil},
		{"mary-jane", []string{"mary-jane", "jane", "mj"}, []string{"ane"}},
		{"ничего", []string{"ниче"}, []string{"его"}},
		{"Йозеф", []string{"йо", "ио"}, nil},
		{"がく", []string{"が"}, []string{"か"}},
		{"민수 김", []string{"민수", "김"}, nil},
		{"🦊 Fox", []string{"🦊", "fox"}, nil},
		{"👩‍🚀", []string{"👩‍🚀"}, nil},
		{"!!!", []string{"!"}, []string{"a"}},
	} {
		keys := chat.KeysOf(c.nickname)
		found := func(typed string) bool {
			return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, chat.KeyOf(typed)) })
		}
		for _, typed := range c.typed {
			if !found(typed) {
				t.Errorf("%q is not found by %q: %q", c.nickname, typed, keys)
			}
		}
		for _, typed := range c.not {
			if found(typed) {
				t.Errorf("%q is found by %q: %q", c.nickname, typed, keys)
			}
		}
	}
}

func TestKeysAreFew(t *testing.T) {
	for _, nickname := range []string{
		strings.Repeat("行", 32), strings.Repeat("a ", 16), strings.Repeat("单a", 16), strings.Repeat("ß", 32), strings.Repeat("ﷺ", 32),
	} {
		keys := chat.KeysOf(nickname)
		if len(keys) > 32 {
			t.Errorf("%d keys of %q", len(keys), nickname)
		}
		for _, key := range keys {
			if len(key) > 2000 || !utf8.ValidString(key) || key == "" {
				t.Errorf("a key of %q: %.100q", nickname, key)
			}
		}
	}
}
