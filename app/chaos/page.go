package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/proto"

	"parlor/app/e2e/chromium"
)

// browser is a real Chromium with a few pages of the room.
type browser struct {
	chromium *chromium.Browser
	pages    []*rod.Page
	url      string // of the room
}

// witness notes in a page what comes into the log, in the order in which it
// comes, and that the page was not loaded again.
const witness = `(() => {
	let page = -1, log;
	window.seen = [];
	const look = (records) => {
		const now = document.querySelector('#log');
		if (!now) return;
		if (now !== log) {
			log = now;
			page++;
			for (const a of log.querySelectorAll(':scope > article')) seen.push({Seq: Number(a.dataset.seq), Page: page, Whole: true});
			return;
		}
		for (const r of records) if (r.target === log) for (const n of r.addedNodes)
			if (n.nodeName === 'ARTICLE') seen.push({Seq: Number(n.dataset.seq), Page: page, Whole: false});
	};
	document.addEventListener('DOMContentLoaded', () => {
		look([]);
		new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
	});
})()`

// openBrowser opens the room in pages of their own browser contexts.
func openBrowser(ctx context.Context, pages int, url string) (*browser, error) {
	chrome, err := chromium.Start(ctx)
	if err != nil {
		return nil, err
	}
	b := &browser{chromium: chrome}
	for range pages {
		if err := b.open(url); err != nil {
			b.end()
			return nil, fmt.Errorf("open a page: %w", err)
		}
	}
	return b, nil
}

func (b *browser) open(url string) error {
	own, err := b.chromium.Incognito()
	if err != nil {
		return err
	}
	page, err := own.Page(proto.TargetCreateTarget{URL: "about:blank"})
	if err != nil {
		return err
	}
	if _, err := page.EvalOnNewDocument(witness); err != nil {
		return err
	}
	if err := page.Timeout(30 * time.Second).Navigate(url); err != nil {
		return err
	}
	if err := page.Timeout(30 * time.Second).WaitLoad(); err != nil {
		return err
	}
	if _, err := page.Eval(`() => { window.mine = true }`); err != nil {
		return err
	}
	b.pages = append(b.pages, page)
	b.url = url
	return nil
}

func (b *browser) end() {
	_ = b.chromium.Close()
}

const readPage = `() => JSON.stringify({
	mine: !!window.mine, seen: window.seen, online: !document.querySelector('.offline.shown'),
	shown: [...document.querySelectorAll('#log > article')].map(a => ({
		Seq: Number(a.dataset.seq), Text: (a.querySelector('.body')?.innerText ?? '').split(/\s+/).join(' ').trim(),
		Whole: a.querySelector('.said').outerHTML, Edited: !!a.querySelector('.edited'), Deleted: !!a.querySelector('.tombstone'), Nickname: a.querySelector('.nickname').textContent,
	})),
})`

// pageWatchdog is the silence after which a page asks afresh; it looks every
// 5 s. pagePatience is how long it may take to its last word.
const (
	pageWatchdog = 25 * time.Second
	pagePatience = 45 * time.Second
)

// records waits until the pages show the end of the history, or for long
// enough, and returns what they saw and show.
func (b *browser) records(history []row) []record {
	var all []record
	fresh := &browser{chromium: b.chromium}
	problem := fresh.open(b.url)
	deadline := time.Now().Add(pagePatience)
	for i, page := range b.pages {
		var r record
		for {
			r = look(page)
			r.Reader = fmt.Sprintf("page %d", i+1)
			if problem != nil {
				r.Problems = append(r.Problems, fmt.Sprintf("no page to compare with: %v", problem))
			} else {
				r.Fresh = look(fresh.pages[0]).Whole
			}
			v := &verdict{}
			if v.checkReader(r, history); !v.broken() || time.Now().After(deadline) {
				break
			}
			time.Sleep(250 * time.Millisecond)
		}
		all = append(all, r)
	}
	return all
}

func look(page *rod.Page) (r record) {
	res, err := page.Timeout(20 * time.Second).Eval(readPage)
	if err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("can't be read: %v", err))
		return r
	}
	var is struct {
		Mine, Online bool
		Seen         []sight
		Shown        []struct {
			shown
			Whole string
		}
	}
	if err := json.Unmarshal([]byte(res.Value.Str()), &is); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	if !is.Mine {
		r.Problems = append(r.Problems, "was loaded afresh")
	}
	if !is.Online {
		r.Problems = append(r.Problems, "says that it is offline")
	}
	r.Seen, r.Whole = is.Seen, make(map[int64]string)
	for _, s := range is.Shown {
		r.Shown = append(r.Shown, s.shown)
		r.Whole[s.Seq] = s.Whole
	}
	return r
}
