package bitcoin

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

func (p *listParser) parseCSV(data []byte) error {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1 // the reference row is shorter; rows are checked below
	var amountOf func(string) (Sat, error)
	columns, sawReference := 0, false
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			if columns == 0 {
				return fmt.Errorf("%w: no header row", ErrFormat)
			}
			return nil
		}
		if err != nil {
			var bad *csv.ParseError
			errors.As(err, &bad)
			return p.fail(bad.Line, fmt.Errorf("%w: %w", ErrFormat, bad.Err))
		}
		line, _ := r.FieldPos(0)
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if columns == 0 {
			if len(row) == 2 && row[0] == "reference" && !sawReference {
				if err := checkReference(row[1]); err != nil {
					return p.fail(line, err)
				}
				p.reference, sawReference = row[1], true
				continue
			}
			if amountOf = csvHeader(row); amountOf == nil {
				return p.fail(line, fmt.Errorf("%w: header %q", ErrFormat, clip(strings.Join(row, ","))))
			}
			columns = len(row)
			continue
		}
		if len(row) != columns {
			return p.fail(line, fmt.Errorf("%w: %d columns, the header has %d", ErrFormat, len(row), columns))
		}
		amount, err := amountOf(row[1])
		if err != nil {
			return p.fail(line, err)
		}
		if err := p.add(line, row[0], amount, strings.Join(row[2:], "")); err != nil {
			return err
		}
	}
}

// csvHeader returns how to read the amount column, nil for an unknown header.
func csvHeader(row []string) func(string) (Sat, error) {
	for _, tail := range [][]string{nil, {"label"}} {
		switch {
		case slices.Equal(row, append([]string{"address", "sats"}, tail...)):
			return parseSats
		case slices.Equal(row, append([]string{"address", "btc"}, tail...)):
			return parseBTC
		}
	}
	return nil
}
