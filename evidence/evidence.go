package evidence

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"frostfed/protocols/echo"
	"frostfed/protocols/membership"
)

// Source is the part of the protocol whose rule was broken.
type Source uint8

// The sources. The values are part of the file format.
const (
	Echo Source = 1
	DKG  Source = 2
	Sign Source = 3
)

const (
	fileVersion = 1
	blockType   = "FROSTFED EVIDENCE"

	// MaxProof is the longest proof: the largest broadcast there can be, and what
	// is said about it.
	MaxProof = echo.MaxPayload + 4<<10
	maxBody  = 1 + 3 + membership.MaxCharter + 1 + MaxProof
	// MaxFile is the longest file, in bytes. PEM makes four characters of three
	// bytes, and lines of 64.
	MaxFile = (maxBody/48+1)*65 + 128
)

// Errors of Parse and Verify.
var (
	// ErrFile reports what is no evidence file.
	ErrFile = errors.New("not an evidence file")
	// ErrProof reports evidence that shows nothing.
	ErrProof = errors.New("the evidence proves nothing")
)

// Evidence is one proof, and the federation it is about.
type Evidence struct {
	Charter *membership.Charter
	Source  Source
	Proof   []byte
}

// Parse reads a file. It does not verify the proof: see Verify.
func Parse(file []byte) (*Evidence, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrFile, MaxFile)
	}
	block, rest := pem.Decode(file)
	if block == nil || block.Type != blockType || len(rest) > 0 {
		return nil, fmt.Errorf("%w: it must be one PEM block %q", ErrFile, blockType)
	}
	e, err := decode(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(e.PEM(), file) {
		return nil, fmt.Errorf("%w: it was changed", ErrFile)
	}
	return e, nil
}

func decode(body []byte) (*Evidence, error) {
	s := cryptobyte.String(body)
	var version, source uint8
	var charter cryptobyte.String
	if !s.ReadUint8(&version) || version != fileVersion {
		return nil, fmt.Errorf("%w: unknown version", ErrFile)
	}
	if !s.ReadUint24LengthPrefixed(&charter) || !s.ReadUint8(&source) || len(s) > MaxProof {
		return nil, fmt.Errorf("%w: truncated or too long", ErrFile)
	}
	c, err := membership.DecodeCharter(charter)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return &Evidence{Charter: c, Source: Source(source), Proof: s}, nil
}

// PEM returns the file.
func (e *Evidence) PEM() []byte {
	var b cryptobyte.Builder
	b.AddUint8(fileVersion)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.Charter.Bytes()) })
	b.AddUint8(uint8(e.Source))
	b.AddBytes(e.Proof)
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: b.BytesOrPanic()}) // a charter is below 2^24 bytes
}
