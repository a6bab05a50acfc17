package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Reporter shows what happens.
type Reporter interface {
	Phase(name string) Phase
	Note(text string)
	Result(*Result)
}

// Phase is one step of the demo. Progress may be called any number of times, then
// either Done or Fail once.
type Phase interface {
	Progress(text string)
	Done(text string)
	Fail(err error)
}

// Text reports to people: one line per phase, which is redrawn as it goes on if
// live (the writer is a terminal).
func Text(w io.Writer, live bool) Reporter { return &text{w: w, live: live, start: time.Now()} }

type text struct {
	w     io.Writer
	live  bool
	start time.Time
}

type textPhase struct {
	*text
	name  string
	begin time.Time
}

const lineWidth = 110

func (t *text) Phase(name string) Phase {
	p := &textPhase{text: t, name: name, begin: time.Now()}
	p.Progress("")
	return p
}

func (p *textPhase) Progress(text string) {
	if p.live {
		line := fmt.Sprintf("  …     %-32s %s", p.name, text)
		fmt.Fprintf(p.w, "\r\x1b[K%s", cut(line, lineWidth))
	} else if text != "" {
		fmt.Fprintf(p.w, "        %-32s %s\n", p.name, text)
	}
}

func (p *textPhase) Done(text string) { p.end("ok", text) }
func (p *textPhase) Fail(err error)   { p.end("FAIL", err.Error()) }

func (p *textPhase) end(mark, text string) {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, "%-4s %5.2fs %-32s %s\n", mark, time.Since(p.begin).Seconds(), p.name, text)
}

func (t *text) Note(text string) { fmt.Fprintf(t.w, "%44s %s\n", "", text) }

func (t *text) Result(r *Result) {
	rows := [][2]string{
		{"address", r.Address}, {"txid", r.TxID}, {"signature", r.Signature[:64]}, {"", r.Signature[64:]},
		{"block", fmt.Sprintf("%s, height %d", r.Block, r.Height)},
	}
	if r.Second != "" {
		rows = append(rows, [2]string{"second txid", r.Second + " (" + r.After + ")"})
	}
	for _, e := range r.Evidence {
		rows = append(rows, [2]string{"evidence", e.File})
	}
	rows = append(rows, [2]string{"data", r.Dir}, [2]string{"total", fmt.Sprintf("%.1f s", r.Total.Seconds())})
	fmt.Fprintln(t.w)
	for _, row := range rows {
		fmt.Fprintf(t.w, "%-12s %s\n", row[0], row[1])
	}
}

func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// JSON reports to programs: one object a line, with "event" phase, progress,
// done, failed, note or result, and milliseconds since the start.
func JSON(w io.Writer) Reporter {
	return &jsonReporter{enc: json.NewEncoder(w), start: time.Now()}
}

type jsonReporter struct {
	enc   *json.Encoder
	start time.Time
}

type jsonLine struct {
	Event  string  `json:"event"`
	AtMS   int64   `json:"at_ms"`
	Phase  string  `json:"phase,omitempty"`
	TookMS *int64  `json:"took_ms,omitempty"`
	Text   string  `json:"text,omitempty"`
	Result *Result `json:"result,omitempty"`
}

func (j *jsonReporter) write(l jsonLine) {
	l.AtMS = time.Since(j.start).Milliseconds()
	_ = j.enc.Encode(l) // a reader that went away does not stop the demo
}

type jsonPhase struct {
	*jsonReporter
	name  string
	begin time.Time
}

func (j *jsonReporter) Phase(name string) Phase {
	j.write(jsonLine{Event: "phase", Phase: name})
	return &jsonPhase{j, name, time.Now()}
}

func (p *jsonPhase) Progress(text string) {
	p.write(jsonLine{Event: "progress", Phase: p.name, Text: text})
}

func (p *jsonPhase) end(event, text string) {
	took := time.Since(p.begin).Milliseconds()
	p.write(jsonLine{Event: event, Phase: p.name, TookMS: &took, Text: strings.TrimSpace(text)})
}

func (p *jsonPhase) Done(text string) { p.end("done", text) }
func (p *jsonPhase) Fail(err error)   { p.end("failed", err.Error()) }

func (j *jsonReporter) Note(text string) { j.write(jsonLine{Event: "note", Text: text}) }
func (j *jsonReporter) Result(r *Result) { j.write(jsonLine{Event: "result", Result: r}) }
