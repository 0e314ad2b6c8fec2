package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sayMany sends n messages from the page as fast as it can.
func (v *person) sayMany(name string, n int) error {
	_, err := v.page.Eval(`(name, n) => {
		const form = document.getElementById('composer'), text = form.querySelector('textarea');
		for (let i = 1; i <= n; i++) { text.value = name + ' ' + i; form.requestSubmit() }
	}`, name, n)
	return err
}

func TestTwoPeopleWhoSpeakAtOnceSeeOneOrder(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	first := ann.page
	second := ann.open("/rooms/parlor") // of the same person
	ann.page = first
	var wait sync.WaitGroup
	for _, v := range []*person{ann, bob} {
		wait.Go(func() {
			if err := v.sayMany(map[bool]string{true: "ann", false: "bob"}[v == ann], 20); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, page := range []string{"Ann's", "Bob's", "Ann's second"} {
		v := ann
		switch page {
		case "Bob's":
			v = bob
		case "Ann's second":
			ann.page = second
		}
		v.until("all of it on "+page+" page", `() => document.querySelectorAll('#log > article').length === 40`)
		v.until("the outbox is empty", `() => !document.querySelector('#outbox > *')`)
		if got, want := v.shown(), stored(t, p, "parlor"); !slices.Equal(got, want) {
			t.Errorf("%s page shows %v, stored is %v", page, got, want)
		}
	}
	var own []string
	for _, r := range stored(t, p, "parlor") {
		if strings.HasPrefix(r.Body, "ann") {
			own = append(own, r.Body)
		}
	}
	for i, body := range own {
		if body != fmt.Sprintf("ann %d", i+1) {
			t.Fatalf("what one page sends keeps its order, but: %v", own)
		}
	}
}
