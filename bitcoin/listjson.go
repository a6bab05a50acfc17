package bitcoin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// jsonList reads tokens one by one: the standard decoder into structs accepts
// repeated keys and keys in another case, and knows no line numbers.
type jsonList struct {
	*listParser
	data []byte
	dec  *json.Decoder
	seen int // bytes whose line ends are counted in past
	past int
}

func (p *listParser) parseJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a float64 cannot hold every amount
	j := &jsonList{listParser: p, data: data, dec: dec}
	err := j.object(map[string]func() error{
		"reference": func() error {
			s, err := j.text("reference")
			if err != nil {
				return err
			}
			if err := checkReference(s); err != nil {
				return j.fail(j.line(), err)
			}
			p.reference = s
			return nil
		},
		"payouts": j.payouts,
	})
	if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return j.bad("text after the closing brace")
	}
	return nil
}

func (j *jsonList) payouts() error {
	if err := j.delim('['); err != nil {
		return err
	}
	for j.dec.More() {
		var addr, label string
		var amount Sat
		var sawAddress, sawAmount bool
		err := j.object(map[string]func() (err error){
			"address": func() (err error) { addr, err = j.text("address"); sawAddress = true; return err },
			"label":   func() (err error) { label, err = j.text("label"); return err },
			"sats":    func() (err error) { amount, err = j.sats(); sawAmount = true; return err },
		})
		if err != nil {
			return err
		}
		if !sawAddress || !sawAmount {
			return j.bad("a payout needs address and sats")
		}
		if err := j.add(j.line(), addr, amount, label); err != nil {
			return err
		}
	}
	return j.delim(']')
}

// object reads one object whose keys are among fields, each at most once. The
// function of a key reads its value.
func (j *jsonList) object(fields map[string]func() error) error {
	if err := j.delim('{'); err != nil {
		return err
	}
	for j.dec.More() {
		token, err := j.dec.Token()
		if err != nil {
			return j.bad(err.Error())
		}
		key, _ := token.(string)
		field, ok := fields[key]
		if !ok {
			return j.bad(fmt.Sprintf("unknown or repeated key %q", clip(key)))
		}
		delete(fields, key)
		if err := field(); err != nil {
			return err
		}
	}
	return j.delim('}')
}

func (j *jsonList) delim(want json.Delim) error {
	token, err := j.dec.Token()
	if err != nil {
		return j.bad(err.Error())
	}
	if token != want {
		return j.bad(fmt.Sprintf("expected %q", want.String()))
	}
	return nil
}

func (j *jsonList) text(key string) (string, error) {
	token, err := j.dec.Token()
	if err != nil {
		return "", j.bad(err.Error())
	}
	s, ok := token.(string)
	if !ok {
		return "", j.bad(fmt.Sprintf("%s must be text", key))
	}
	return s, nil
}

func (j *jsonList) sats() (Sat, error) {
	token, err := j.dec.Token()
	if err != nil {
		return 0, j.bad(err.Error())
	}
	n, ok := token.(json.Number)
	if !ok {
		return 0, j.fail(j.line(), fmt.Errorf("%w: sats must be a number", ErrAmount))
	}
	amount, err := parseSats(n.String())
	if err != nil {
		return 0, j.fail(j.line(), err)
	}
	return amount, nil
}

// line is where the last token ended. It counts on from the last call, so that a
// long file is scanned once and not once per row.
func (j *jsonList) line() int {
	end := int(j.dec.InputOffset())
	j.past += bytes.Count(j.data[j.seen:end], []byte("\n"))
	j.seen = end
	return 1 + j.past
}

func (j *jsonList) bad(what string) error {
	return j.fail(j.line(), fmt.Errorf("%w: %s", ErrFormat, what))
}
