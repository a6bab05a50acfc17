package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"frostfed/policy"
)

func TestFiveStrangers(t *testing.T) {
	var out bytes.Buffer
	r, err := Run(t.Context(), Options{Nodes: 5, Dir: t.TempDir(), Version: "test", Report: JSON(&out)})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(r.Refused) != 5 || r.TxID == "" || r.Second == "" || len(r.Signature) != 128 {
		t.Errorf("result %+v", r)
	}
	for _, refusal := range r.Refused {
		if refusal.Rule != string(policy.OutputsDiffer) {
			t.Errorf("%s refused by %s", refusal.Member, refusal.Rule)
		}
	}
	for line := range bytes.Lines(out.Bytes()) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// The member that is taken down must not be the one that proposes.
func TestThreeOfWhichTwoSign(t *testing.T) {
	var out bytes.Buffer
	r, err := Run(t.Context(), Options{Nodes: 3, Threshold: 2, Dir: t.TempDir(), Version: "test", Report: Text(&out, true)})
	if err != nil || r.Second == "" {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

// Two liars of seven: both are convicted twice, and everybody is paid.
func TestBesideLiars(t *testing.T) {
	var out bytes.Buffer
	r, err := Run(t.Context(), Options{Nodes: 7, Byzantine: 2, Dir: t.TempDir(), Version: "test", Report: Text(&out, false)})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(r.Evidence) != 4 || r.TxID == "" || r.Second == "" || r.TxID == r.Second {
		t.Errorf("result %+v\n%s", r, out.String())
	}
}

// With t = n nobody can be missing: the demo says so and ends earlier.
func TestAllMustSign(t *testing.T) {
	var out bytes.Buffer
	r, err := Run(t.Context(), Options{Nodes: 3, Threshold: 3, Dir: t.TempDir(), Version: "test", Report: Text(&out, false)})
	if err != nil {
		t.Fatal(err)
	}
	if r.TxID == "" || r.Second != "" {
		t.Errorf("result %+v\n%s", r, out.String())
	}
}

func TestBadOptions(t *testing.T) {
	used := t.TempDir()
	if _, err := makeDir(filepath.Dir(used)); !errors.Is(err, ErrOptions) {
		t.Errorf("a folder that is not empty: %v", err)
	}
	for _, o := range []Options{{Nodes: 1}, {Nodes: 21}, {Nodes: 5, Threshold: 6}, {Nodes: 5, Threshold: -1},
		{Nodes: 5, Byzantine: 2}, {Nodes: 5, Byzantine: -1}, {Nodes: 4, Byzantine: 1}, {Nodes: 5, Byzantine: 1, Threshold: 4}} {
		o.Report = Text(&bytes.Buffer{}, false)
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
