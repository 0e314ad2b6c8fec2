package e2e

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// parlor runs a command of the program on its database.
func (p *program) parlor(args ...string) {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(cmd.Environ(), "DATABASE_URL="+p.database)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("parlor %v: %v\n%s", args, err, out)
	}
}

// Messages that were said after a backup are lost by its restore. Pages that
// show them end with what the database holds, without being loaded afresh.
func TestRestoreOfAnOlderBackupReachesOpenPages(t *testing.T) {
	for name, restore := range map[string]func(p *program, backup string){
		"with the program down": func(p *program, backup string) {
			p.end(syscall.SIGKILL)
			p.parlor("restore", "-force", backup)
			p.run()
		},
		"while the program runs": func(p *program, backup string) {
			p.parlor("restore", "-force", backup)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			bob := newClient(t, p, "Bob")
			bob.fillRoom("parlor", 70, "old %d")
			ann, carol := guest(t, p, "Ann"), guest(t, p, "Carol") // at the end, and in old history
			for _, v := range []*person{ann, carol} {
				v.allow("status of 503")
				_, err := v.page.Eval(`() => { window.marker = 'mine' }`)
				v.must(err)
			}
			ann.say("kept")
			ann.sees("kept")
			backup := filepath.Join(t.TempDir(), "backup.zip")
			p.parlor("backup", backup)

			bob.fillRoom("parlor", 5, "lost %d")
			ann.say("lost, too")
			carol.sees("lost, too")
			changed := ann.shown()[40].Seq
			_, err := ann.page.Eval(`seq => fetch('/rooms/parlor/unread', {method: 'POST', body: new URLSearchParams({seq})})`, changed)
			ann.must(err)
			ann.shows("the divider is above what she marked, in a lost future, too", mark, "old 61")
			bob.edit("parlor", changed, "lost edit")
			bob.delete("parlor", changed+1)
			carol.until("the edit", `seq => document.querySelector('#m-' + seq + ' .body')?.innerText.trim() === 'lost edit'`, changed)
			carol.goUp()
			ann.fill("#composer textarea", "half a thou")

			restore(p, backup)
			for _, v := range []*person{ann, carol} {
				v.until("nothing of the lost future is left", `() => ![...document.querySelectorAll('#log > article')]
					.some(a => a.innerText.includes('lost') || a.querySelector('.tombstone'))`)
				v.isEnd("parlor", 50)
			}
			// As many again: the numbers of the lost future are taken by others.
			bob.fillRoom("parlor", 9, "new %d")
			for _, v := range []*person{ann, carol} {
				v.sees("new 9")
				v.isEnd("parlor", 50)
				if v.eval(`() => window.marker ?? ''`) != "mine" {
					t.Error("the page was loaded afresh")
				}
			}
			// She reads on, though her mark is not set back any more.
			ann.shows("the number", number, "9")
			ann.hide(true)
			ann.hide(false)
			ann.shows("the divider is above", mark, "new 1")
			ann.stir()
			ann.shows("the number", number, "")
			ann.must(ann.page.InsertText("ght"))
			if got := ann.eval(`() => document.querySelector('#composer textarea').value`); got != "half a thought" {
				t.Errorf("the draft is %q", got)
			}
		})
	}
}
