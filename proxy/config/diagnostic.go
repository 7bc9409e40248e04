package config

import (
	"fmt"
	"strconv"
)

// Pos says where in the configuration something is. Line counts from 1; zero means that the place is not a line.
type Pos struct {
	File string
	Line int
}

// String returns "file:line".
func (p Pos) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Severity orders diagnostics. Only Alert makes a configuration unusable, unless it is [Diagnostic.Passing].
type Severity int

// The severities, from the mildest. Diag is shown in diagnostic mode (-dD) only.
const (
	Diag Severity = iota
	Notice
	Warning
	Alert
)

// String returns the name that log lines carry in brackets.
func (s Severity) String() string {
	switch s {
	case Diag:
		return "DIAG"
	case Notice:
		return "NOTICE"
	case Warning:
		return "WARNING"
	default:
		return "ALERT"
	}
}

// Diagnostic is one finding about a configuration. Text may span several lines.
type Diagnostic struct {
	Pos      Pos
	Severity Severity
	Text     string

	// Passing is set for an alert about a line that is left out: the rest loads without it.
	Passing bool

	// lexical findings put no blank between the place and the colon
	lexical bool
}

// String returns the diagnostic as it is logged, without the severity and without a line feed:
// "config : parsing [file:12] : text".
func (d Diagnostic) String() string {
	switch {
	case d.Pos.File == "":
		return "config : " + d.Text
	case d.lexical:
		return "config : parsing [" + d.Pos.String() + "]: " + d.Text
	default:
		return "config : parsing [" + d.Pos.String() + "] : " + d.Text
	}
}

// MaxDiagnostics bounds how many diagnostics one Diagnostics keeps, so that a hostile file cannot fill the memory
// with complaints. What comes later is counted only.
const MaxDiagnostics = 1000

// Diagnostics collects findings. The zero value is ready to use. It is not safe for concurrent use.
type Diagnostics struct {
	list    []Diagnostic
	counts  [Alert + 1]int
	dropped int
}

// Add appends one diagnostic. Alerts are counted even when the list is full.
func (d *Diagnostics) Add(x Diagnostic) {
	if !x.Passing {
		d.counts[min(max(x.Severity, Diag), Alert)]++
	}
	if len(d.list) >= MaxDiagnostics {
		d.dropped++
		return
	}
	d.list = append(d.list, x)
}

// Alert reports an error: the configuration will not load.
func (d *Diagnostics) Alert(pos Pos, format string, args ...any) { d.add(Alert, pos, format, args) }

// Skip reports an error about a line that is left out. The configuration loads all the same.
func (d *Diagnostics) Skip(pos Pos, format string, args ...any) {
	d.Add(Diagnostic{Pos: pos, Severity: Alert, Text: fmt.Sprintf(format, args...), Passing: true})
}

// Warn reports something that works but should be changed.
func (d *Diagnostics) Warn(pos Pos, format string, args ...any) { d.add(Warning, pos, format, args) }

// Notice reports something worth knowing.
func (d *Diagnostics) Notice(pos Pos, format string, args ...any) { d.add(Notice, pos, format, args) }

// Diag reports a suspicious statement, shown in diagnostic mode only.
func (d *Diagnostics) Diag(pos Pos, format string, args ...any) { d.add(Diag, pos, format, args) }

func (d *Diagnostics) add(sev Severity, pos Pos, format string, args []any) {
	d.Add(Diagnostic{Pos: pos, Severity: sev, Text: fmt.Sprintf(format, args...)})
}

// lexical reports a finding of this package's own reader of lines.
func (d *Diagnostics) lexical(sev Severity, pos Pos, format string, args ...any) {
	d.Add(Diagnostic{Pos: pos, Severity: sev, Text: fmt.Sprintf(format, args...), lexical: true})
}

// UnknownKeyword reports a word that a section does not know, with the candidate that was probably meant.
func (d *Diagnostics) UnknownKeyword(pos Pos, word, section string, candidates []string) {
	d.Alert(pos, "unknown keyword '%s' in '%s' section%s", word, section, DidYouMean(word, candidates))
}

// Len returns how many diagnostics were reported, dropped ones included.
func (d *Diagnostics) Len() int { return len(d.list) + d.dropped }

// HasErrors tells whether an alert was reported.
func (d *Diagnostics) HasErrors() bool { return d.counts[Alert] > 0 }

// Count returns how many diagnostics of one severity were reported, dropped ones included.
func (d *Diagnostics) Count(sev Severity) int { return d.counts[min(max(sev, Diag), Alert)] }

// All returns the diagnostics in the order of their report. When some were dropped, a last one says how many.
func (d *Diagnostics) All() []Diagnostic {
	if d.dropped == 0 {
		return d.list[:len(d.list):len(d.list)]
	}
	more := Diagnostic{Severity: Notice, Text: fmt.Sprintf("%d more messages not shown.", d.dropped)}
	return append(d.list[:len(d.list):len(d.list)], more)
}
