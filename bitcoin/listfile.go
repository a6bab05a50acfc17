package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ListError says what is wrong with a payout file, where, and what to do. It
// unwraps to ErrAddress, ErrNetwork, ErrAmount, ErrDust, ErrDuplicatePayee,
// ErrNoPayees, ErrTooManyPayees or ErrFormat.
type ListError struct {
	File string
	Line int // from 1; 0 if it concerns the whole file
	Err  error
	Hint string
}

func (e *ListError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return fmt.Sprintf("%s: %v: %s", where, e.Err, e.Hint)
}

func (e *ListError) Unwrap() error { return e.Err }

// hints tell the author of a file how to mend it.
var hints = []struct {
	err  error
	hint string
}{
	{ErrAddress, "check it with the payee"},
	{ErrNetwork, "ask the payee for an address of this network"},
	{ErrAmount, "give whole satoshi (column sats) or at most 8 decimals (column btc), more than zero and at most 21 million BTC in all"},
	{ErrDust, "carry the amount over to a later list"},
	{ErrDuplicatePayee, "add the amounts up in one row"},
	{ErrNoPayees, "add rows"},
	{ErrTooManyPayees, "split the list"},
	{ErrFormat, `use CSV with the header "address,sats" or "address,btc" (and "label" if you like), or JSON {"payouts":[{"address":"...","sats":1000}]}`},
}

// ParseList reads a payout file: JSON if the first character is {, else CSV.
// Name is used in errors only. All errors are *ListError.
//
// CSV has a header row, either address,sats or address,btc, with an optional
// third column label. A row reference,TEXT may precede the header. JSON is
//
//	{"reference": "week 47", "payouts": [{"address": "bc1...", "sats": 1000, "label": "alice"}]}
//
// where reference and label are optional. Unknown columns and keys are errors, as
// is a payee that appears twice.
func ParseList(network Network, name string, data []byte) (PayoutList, error) {
	p := &listParser{network: network, name: name, lines: map[string]int{}}
	err := p.parse(data)
	var list PayoutList
	if err == nil {
		list, err = NewPayoutList(network, p.reference, p.payees)
	}
	if err != nil {
		return PayoutList{}, p.fail(0, err)
	}
	return list, nil
}

// listParser collects rows of either format and remembers where they were.
type listParser struct {
	network   Network
	name      string
	reference string
	payees    []Payee
	lines     map[string]int // script to line
	total     Sat
}

// fail wraps err for the reader of the file, unless that was already done.
func (p *listParser) fail(line int, err error) error {
	var done *ListError
	if errors.As(err, &done) {
		return done
	}
	hint := ""
	for _, h := range hints {
		if errors.Is(err, h.err) {
			hint = h.hint
		}
	}
	return &ListError{p.name, line, err, hint}
}

func (p *listParser) parse(data []byte) error {
	if len(data) > MaxListFile {
		return fmt.Errorf("%w: larger than %d bytes", ErrTooManyPayees, MaxListFile)
	}
	if i := invalidUTF8(data); i >= 0 {
		return p.fail(lineAt(data, i), fmt.Errorf("%w: not UTF-8 text", ErrFormat))
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // spreadsheets begin files with a byte order mark
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return p.parseJSON(data)
	}
	return p.parseCSV(data)
}

// add checks one row and takes it in.
func (p *listParser) add(line int, addr string, amount Sat, label string) error {
	if len(p.payees) == MaxPayees {
		return p.fail(line, fmt.Errorf("%w: at most %d fit into a transaction", ErrTooManyPayees, MaxPayees))
	}
	script, err := ParseAddress(p.network, addr)
	if err != nil {
		return p.fail(line, err)
	}
	if err := checkPayee(script, amount); err != nil {
		return p.fail(line, err)
	}
	if first, ok := p.lines[string(script)]; ok {
		return p.fail(line, fmt.Errorf("%w: %s is also on line %d", ErrDuplicatePayee, addr, first))
	}
	if p.total, err = sum(p.total, amount); err != nil {
		return p.fail(line, err)
	}
	p.lines[string(script)] = line
	p.payees = append(p.payees, Payee{script, amount, label})
	return nil
}

// parseSats reads a whole number of satoshi: digits only.
func parseSats(s string) (Sat, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%w: %q is not a positive whole number of satoshi", ErrAmount, clip(s))
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || Sat(v) > MaxMoney {
		return 0, fmt.Errorf("%w: %q is more than all bitcoin", ErrAmount, clip(s))
	}
	return Sat(v), nil
}

// parseBTC reads digits with at most 8 decimals, without floating point.
func parseBTC(s string) (Sat, error) {
	whole, decimals, dot := strings.Cut(s, ".")
	if whole == "" || dot && decimals == "" || len(decimals) > 8 ||
		strings.Trim(whole+decimals, "0123456789") != "" {
		return 0, fmt.Errorf("%w: %q is not a positive number of BTC with at most 8 decimals", ErrAmount, clip(s))
	}
	return parseSats(whole + decimals + strings.Repeat("0", 8-len(decimals)))
}

// clip keeps hostile input short in errors.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "..."
	}
	return s
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// lineAt is the line of the byte at offset, from 1.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}
