package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// show prints a result: v as JSON if --json is given, else what human writes.
// Messages of the API print as the API itself answers in JSON, so that there is
// one schema for both: internal/api/frostfed/v1/frostfed.proto.
func (a *app) show(v any, human func(w io.Writer)) error {
	var out bytes.Buffer
	if a.json {
		body, err := jsonOf(v)
		if err != nil {
			return fmt.Errorf("encode result: %w", err)
		}
		out.WriteString(escape(body))
		out.WriteByte('\n')
	} else {
		human(&out)
	}
	_, err := a.out.Write(out.Bytes())
	return err
}

func jsonOf(v any) (string, error) {
	m, ok := v.(proto.Message)
	if !ok {
		body, err := json.Marshal(v)
		return string(body), err
	}
	body, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return "", err
	}
	var compact bytes.Buffer // protojson varies its white space on purpose
	err = json.Compact(&compact, body)
	return compact.String(), err
}

// escape writes what a terminal could take for a command as \u escapes. In JSON
// such characters occur in strings only.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// clean replaces what a terminal could take for a command: control characters,
// and marks that turn the direction of text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// table aligns rows below a header.
func table(w io.Writer, header string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(header, " ", "\t"))
	for _, row := range rows {
		for i, cell := range row {
			if row[i] = clean(cell); row[i] == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush() // w is memory
}

// fields aligns names and values; rows without a value are left out.
func fields(w io.Writer, rows [][2]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], clean(row[1]))
		}
	}
	t.Flush() // w is memory
}

// amount shows small amounts in satoshi, others in BTC.
func amount(sat int64) string {
	if sat > -1_000_000 && sat < 1_000_000 {
		return strconv.FormatInt(sat, 10) + " sat"
	}
	sign := ""
	if sat < 0 {
		sign, sat = "-", -sat
	}
	return fmt.Sprintf("%s%d.%08d BTC", sign, sat/1e8, sat%1e8)
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.RFC3339)
}

// short is the beginning of an ID, long enough for commands to take.
func short(id string) string { return id[:min(12, len(id))] }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func count[N int | int32 | int64 | uint32](n N) string { return strconv.FormatInt(int64(n), 10) }
