package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// row is one line of the table. A figure that is NaN was not measured.
type row struct {
	group           string // what belongs together, and what the ceiling is
	what            string
	target          target
	parlor, ceiling float64
	note            string // why it was not measured
}

// rows puts names and targets to the figures of two samples. Without targets
// there is nothing to reach.
func rows(group string, names []string, targets []target, parlor, ceiling sample) []row {
	var out []row
	for i, name := range names {
		r := row{group: group, what: name, parlor: parlor[i], ceiling: ceiling[i]}
		if targets != nil {
			r.target = targets[i]
		}
		out = append(out, r)
	}
	return out
}

// alone is a row that has no ceiling.
func alone(group, what string, t target, f float64) row {
	return row{group: group, what: what, target: t, parlor: f, ceiling: math.NaN()}
}

// notMeasured is a row without figures, and the reason.
func notMeasured(group, what string, t target, why string) row {
	return row{group, what, t, math.NaN(), math.NaN(), why}
}

// target is what a row has to reach: a bound on Parlor's own figure or on its
// ratio to the ceiling. The zero target is none.
type target struct {
	sign    string // "≤" or "≥"
	bound   float64
	ofRatio bool
}

var none target

func most(bound float64) target       { return target{"≤", bound, false} }
func least(bound float64) target      { return target{"≥", bound, false} }
func ratioMost(bound float64) target  { return target{"≤", bound, true} }
func ratioLeast(bound float64) target { return target{"≥", bound, true} }

func (t target) String() string {
	if t == none {
		return ""
	}
	text := t.sign + " " + strconv.FormatFloat(t.bound, 'f', -1, 64)
	if t.ofRatio {
		text += " ×"
	}
	return text
}

// reached says yes or no, or nothing where there is nothing to reach.
func (r row) reached() string {
	f := r.parlor
	if r.target.ofRatio {
		f /= r.ceiling
	}
	switch {
	case r.note != "":
		return "not measured: " + r.note
	case r.target == none:
		return ""
	case math.IsNaN(f):
		return "not measured"
	case r.target.sign == "≥" && f >= r.target.bound, r.target.sign == "≤" && f <= r.target.bound:
		return "yes"
	}
	return "no"
}

// table writes rows as an aligned Markdown table, under the name of what was
// measured. Each group has a heading of its own.
func table(measured string, rows []row) string {
	cells := [][]string{{"what", "target", measured, "ceiling", "ratio", "reached"}}
	group := ""
	for _, r := range rows {
		if r.group != group {
			group = r.group
			cells = append(cells, []string{"**" + group + "**", "", "", "", "", ""})
		}
		cells = append(cells, []string{r.what, r.target.String(), figure(r.parlor), figure(r.ceiling), figure(r.parlor / r.ceiling), r.reached()})
	}
	wide := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		for i, cell := range line {
			if number := i >= 2 && i <= 4; number {
				fmt.Fprintf(&b, "| %*s ", wide[i], cell)
			} else {
				fmt.Fprintf(&b, "| %-*s ", wide[i], cell)
			}
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i := range line {
			if number := i >= 2 && i <= 4; number {
				b.WriteString("|" + strings.Repeat("-", wide[i]+1) + ":")
			} else {
				b.WriteString("|" + strings.Repeat("-", wide[i]+2))
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// figure writes a number with about three digits.
func figure(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return ""
	case math.Abs(f) >= 100:
		return fmt.Sprintf("%.0f", f)
	case math.Abs(f) >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
