package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"frostfed/protocols/membership"
)

func TestSpecimens(t *testing.T) {
	all := specimens()
	if got := len(all); got != 5 {
		t.Fatalf("%d kinds of evidence: %v", got, slices.Sorted(maps.Keys(all)))
	}
	for kind, e := range all {
		file := e.PEM()
		again, err := Parse(file)
		if err != nil {
			t.Fatal(err)
		}
		v, err := again.Verify()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		card := e.Charter.Cards[liar]
		if v.Kind != kind || v.Culprit != liar || v.Name != card.Name || v.Peer != card.NodeID() || v.HostKey != card.Host ||
			v.Federation != e.Charter.ID() || v.Place == "" || v.Words == "" || !bytes.Equal(again.PEM(), file) {
			t.Errorf("%s: %+v", kind, v)
		}
	}
}

// One byte more, less or other, anywhere in the file, and it is refused.
func TestChangedFiles(t *testing.T) {
	refused := func(kind, what string, at int, file []byte) {
		e, err := Parse(file)
		if errors.Is(err, ErrFile) {
			return
		}
		if err != nil {
			t.Errorf("%s, %s %d: %v", kind, what, at, err)
		} else if v, err := e.Verify(); !errors.Is(err, ErrProof) {
			t.Errorf("%s, %s %d: %+v %v", kind, what, at, v, err)
		}
	}
	// A sample of the bytes: reading a charter verifies its cards. What is in a
	// proof, the tests of its package change byte by byte.
	const step = 11
	for begin, kind := range slices.Sorted(maps.Keys(specimens())) {
		file := specimens()[kind].PEM()
		for at := begin; at < len(file); at += step {
			bad := bytes.Clone(file)
			bad[at] ^= 1 << (at % 6)
			refused(kind, "byte", at, bad)
		}
		for at := begin; at < len(file); at += 197 {
			refused(kind, "cut", at, file[:at])
			refused(kind, "longer", at, slices.Concat(file[:at], []byte{'A'}, file[at:]))
		}
		for what, bad := range map[string][]byte{
			"trailing line": append(bytes.Clone(file), '\n'),
			"leading line":  append([]byte("\n"), file...),
			"CRLF":          bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")),
			"twice":         append(bytes.Clone(file), file...),
			"header":        bytes.Replace(file, []byte("-----\n"), []byte("-----\nA: b\n\n"), 1),
			"name":          bytes.ReplaceAll(file, []byte("FROSTFED EVIDENCE"), []byte("FROSTFED CHARTER")),
			"long lines":    longLines(file),
		} {
			refused(kind, what, 0, bad)
		}
	}
}

func longLines(file []byte) []byte {
	block, _ := pem.Decode(file)
	return []byte("-----BEGIN " + blockType + "-----\n" + base64.StdEncoding.EncodeToString(block.Bytes) + "\n-----END " + blockType + "-----\n")
}

// Evidence of one federation is none in another, even among the same members.
func TestOtherFederation(t *testing.T) {
	other, _ := newCharter(t, "other pool")
	for kind, e := range specimens() {
		moved := &Evidence{other, e.Source, e.Proof}
		if v, err := moved.Verify(); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %+v %v", kind, v, err)
		}
		for _, source := range []Source{0, Echo, DKG, Sign, 4} {
			wrong := &Evidence{e.Charter, source, e.Proof}
			if v, err := wrong.Verify(); source != e.Source && !errors.Is(err, ErrProof) {
				t.Errorf("%s as source %d: %+v %v", kind, source, v, err)
			}
		}
	}
}

func TestParseBounds(t *testing.T) {
	for name, file := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "huge": bytes.Repeat([]byte{'A'}, MaxFile+1),
		"empty block":  pem.EncodeToMemory(&pem.Block{Type: blockType}),
		"only version": pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: []byte{1}}),
		"long charter": pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: append([]byte{1, 3, 0, 0}, make([]byte, 3<<16+1)...)}),
		"key file":     []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
	} {
		if _, err := Parse(file); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The largest there can be fits.
	var e *Evidence
	for _, e = range specimens() {
		break
	}
	big := &Evidence{e.Charter, Echo, make([]byte, MaxProof)}
	if _, err := Parse(big.PEM()); err != nil {
		t.Error(err)
	}
	big.Proof = append(big.Proof, 0)
	if _, err := Parse(big.PEM()); !errors.Is(err, ErrFile) {
		t.Errorf("%v", err)
	}
	body := make([]byte, maxBody)
	if got := len(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: body})); got > MaxFile || got < MaxFile-256 {
		t.Errorf("the largest file has %d bytes, the limit is %d", got, MaxFile)
	}
}

// A liar chooses its topics: they reach terminals only in hex.
func TestReadable(t *testing.T) {
	for topic, want := range map[string]string{
		"key/00": "key/00", "a b": "612062", "\x1b[2J": "1b5b324a", strings.Repeat("\xff", 2): "ffff",
	} {
		if got := readable(topic); got != want {
			t.Errorf("%q is shown as %q", topic, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range specimens() {
		f.Add(e.PEM())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		e, err := Parse(file)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(e.PEM(), file) {
			t.Fatal("not canonical")
		}
		if v, err := e.Verify(); err == nil && v.Federation == specimenID() && v.Culprit != liar {
			t.Fatalf("%+v", v)
		}
	})
}

func specimenID() (id membership.FederationID) {
	for _, e := range specimens() {
		return e.Charter.ID()
	}
	return id
}

var update = flag.Bool("update", false, "write the files that stand for this version of the format")

// Files of this version stay readable, and convict.
func TestGolden(t *testing.T) {
	if *update {
		charter, _ := newCharter(t, "pool")
		text, err := charter.Text()
		if err == nil {
			err = os.WriteFile(filepath.Join("testdata", "charter.toml"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for kind, e := range specimens() {
		path := filepath.Join("testdata", kind+".pem")
		if *update {
			if err := os.WriteFile(path, e.PEM(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Parse(file)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if v, err := e.Verify(); err != nil || v.Kind != kind || v.Culprit != liar {
			t.Errorf("%s: %+v %v", kind, v, err)
		}
	}
}
