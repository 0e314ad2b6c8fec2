package app_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// expression is an attribute that the Datastar client compiles.
var expression = regexp.MustCompile(`^data-(signals|effect|init|on|class|text|attr|show|bind|computed|indicator|ref|style|json-signals|persist|replace-url|scroll-into-view|view-transition)\b`)

// Datastar rewrites @name( inside strings, too, and knows marks behind which
// everything is code. So what people write never comes into an expression,
// however well it is quoted.
func TestNothingThatPeopleWriteIsInAnExpression(t *testing.T) {
	s := newSite(t)
	ann := s.guest("zzAnn@get(1")
	const text = "zz@get(zz 🖕JS_+(1)+_DS🚀("
	if a := ann.post("/rooms", "name", text, "topic", text); a.code != 303 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	list := ann.get("/").body
	found := regexp.MustCompile(`href="(/rooms/zz[^"?/]*)"`).FindStringSubmatch(list)
	if found == nil {
		t.Fatal("the room is not in the lobby")
	}
	room := strings.TrimPrefix(found[1], "/rooms/")
	slug, err := url.PathUnescape(room)
	if err != nil {
		t.Fatal(err)
	}
	ann.say(slug, text)
	for path, form := range map[string][]string{
		found[1] + "/draft": {"body", text, "tab", text, "n", "1"}, found[1] + "/messages/1/draft": {"body", text, "tab", text, "n", "1"}, "/session/status": {"status", text}, found[1] + "/messages/1/pin": nil, found[1] + "/messages/1/save": nil,
	} {
		if a := ann.post(path, form...); a.code >= 400 {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
	checked := 0
	for _, path := range []string{
		"/", found[1], found[1] + "/messages/1", found[1] + "/messages/1/thread", found[1] + "/messages/1/menu", found[1] + "/messages/1/react",
		found[1] + "/messages/1/reply", found[1] + "/messages/1/edit", found[1] + "/messages/1/delete", found[1] + "/settings", found[1] + "/pins",
		found[1] + "/who", "/saved", "/inbox", "/help", "/search?q=" + url.QueryEscape(text), "/session",
	} {
		a := ann.get(path)
		if a.code != 200 {
			t.Errorf("%s: %d", path, a.code)
		}
		for z := html.NewTokenizer(strings.NewReader(a.body)); z.Next() != html.ErrorToken; {
			for _, attribute := range z.Token().Attr {
				if !expression.MatchString(attribute.Key) {
					continue
				}
				checked++
				if strings.Contains(attribute.Val, "zz") || strings.Contains(attribute.Val, "🖕") {
					t.Errorf("%s: %s=%q", path, attribute.Key, attribute.Val)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d expressions were looked at", checked)
	}
}

func TestTextsThatAreNoneAreRefused(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for _, path := range []string{"/previews/1/image?v=%00", "/previews/1/image?v=%ff", "/rooms/parlor/complete?q=@%00", "/search?q=%00", "/search?q=%ff", "/saved?before=%00", "/inbox?after=%00", "/rooms/new?name=%00"} {
		if a := ann.get(path); a.code >= 500 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
}
