package search

import (
	"testing"
)

// Terms know who is mentioned, not under which name.
func TestTermsOfMentions(t *testing.T) {
	const bob, everybody = "\x0e7\x0f", "\x0e0\x0f"
	for text, want := range map[string]string{
		"hi " + bob + ", hi":             `'hi':1,3 '&7':2 '?mention'`,
		"问" + bob + "说得对":                `'问':1 '&7':2 '说得':3 '得对':4 '对':5 '?mention'`,
		bob + "\x0e12\x0fs":              `'&7':1 '&12':2 's':3 '?mention'`,
		everybody + "ab":                 `'here':1 'ab':2 '?mention'`,
		"\x0e\x0f \x0e7 7\x0f \x0ex\x0f": `'7':1,2 'x':3`, // these are none
		"\x0e99999999999999999999\x0f":   `'99999999999999999999':1`,
	} {
		if got := bare(Terms(Said{Text: text, Names: map[int64]string{7: "Bob"}})); got != want {
			t.Errorf("%q: %s, not\n%s", text, got, want)
		}
	}
}

// What people are called now stands for their mentions, where it may.
func TestNamesInAQuery(t *testing.T) {
	for _, test := range []struct{ query, names, tsquery string }{
		{"zoe -other", `'zoe':*`, `'zoe':* & !('other')`},
		{"bob", `'bob':*`, `('bob':* | '&7')`},
		{`"bob"`, `'bob'`, `('bob' | '&7')`},
		{"-bob hi", `'hi'`, `'hi' & !('bob' | '&7')`},
		{`-"hi bob"`, ``, `!('hi' <-> 'bob')`},
		{`-"bob smith" a`, `'a'`, `'a' & !('bob' <-> 'smith' | '&7')`},
		{"smi", `'smi':*`, `('smi':* | '&7')`},
		{`"hi bob"`, `'hi' | 'bob'`, `('hi' <-> 'bob' | ('!crowded' | '&7') & 'hi' & ('bob' | '&7'))`},
		{`"bob hi"`, `'bob' | 'hi'`, `('bob' <-> 'hi' | '!crowded' & 'bob' & 'hi')`}, // his name goes on
		{`"smith hi"`, `'smith' | 'hi'`, `('smith' <-> 'hi' | ('!crowded' | '&7') & ('smith' | '&7') & 'hi')`},
		{`"bob smith"`, `'bob' | 'smith'`, `('bob' <-> 'smith' | ('!crowded' | '&7') & ('bob' | '&7') & ('smith' | '&7'))`},
		{"四", `'四':*`, `('四':* | '&8')`},
		{"四说", `'四说' | '四'`, `('四说' | '&8')`},
		{"四说得", `'四说' | '四'`, `('四说' <-> '说得' | ('!crowded' | '&8') & ('四说' | '&8') & '说得')`},
		{"李四", `'李四' | '李'`, `('李四' | '&8')`},
		{"问李", `'问李' | '问'`, `'问李'`}, // an @ stands between
		{"问@李", `'问' | '李':*`, `('问' <-> '李':* | ('!crowded' | '&8') & '问' & ('李':* | '&8'))`},
		{"李四hi", `'李四' | '李' | 'hi'`, `('李四' <-> '四' <-> 'hi' | ('!crowded' | '&8') & ('李四' | '&8') & ('四' | '&8') & 'hi')`},
	} {
		q := Parse(test.query, now)
		if got := bare(q.NameQuery()); got != test.names {
			t.Errorf("%s asks for the names %s, not\n%s", test.query, got, test.names)
		}
		q.Call(7, "Bob Smith")
		q.Call(8, "李四")
		if got := bare(q.TSQuery()); got != test.tsquery {
			t.Errorf("%s is %s, not\n%s", test.query, got, test.tsquery)
		}
	}
}

// A text is read with the names of now.
func TestMatchesWithNames(t *testing.T) {
	const text = "thanks \x0e7\x0ffor \x0e8\x0f说的 \x0e0\x0f \x0e9\x0f"
	names := map[int64]string{7: "Bob Smith", 8: "李四"}
	for query, want := range map[string]bool{
		"smith": true, "thanks bob": true, `"thanks bob smith for"`: true, "smithfor": false, "for": true, "四说": true, "here": true,
		"7": false, "-bob": false, `-"thanks for"`: true, `"bob for"`: false, "has:mention": true, "has:link": false,
	} {
		if got := Parse(query, now).Matches(Said{Text: text, Names: names}); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if link := (Said{Text: "\x0e7\x0f", Names: map[int64]string{7: "www.bob.example"}}); Parse("has:link", now).Matches(link) {
		t.Error("a nickname is a link")
	}
}
