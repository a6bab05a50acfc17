package membership

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/protocols"
	"frostfed/protocols/echo"
)

func bonded(t testing.TB) *Charter {
	c, err := NewBonded("bonds", "regtest", five(t), testTerms())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBondedCharterRoundTrip(t *testing.T) {
	c := bonded(t)
	if c.Threshold != 4 {
		t.Errorf("threshold %d", c.Threshold)
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	fromText, err := ParseCharter(text)
	if err != nil || fromText.ID() != c.ID() || *fromText.Terms != *c.Terms {
		t.Fatalf("%v\n%s", err, text)
	}
	fromBytes, err := DecodeCharter(c.Bytes())
	if err != nil || *fromBytes.Terms != *c.Terms {
		t.Fatal(err)
	}
	plain, err := NewCharter("bonds", "regtest", 4, five(t))
	if err != nil || plain.ID() == c.ID() {
		t.Error("terms do not change the ID")
	}
}

// A charter without bonds keeps the ID it had before there were bonds.
func TestPlainCharterGolden(t *testing.T) {
	c, err := NewCharter("five strangers", "regtest", 0, five(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ID().String(); got != goldenCharter {
		t.Errorf("got %s", got)
	}
}

// Every field of the terms is part of the federation's ID.
func TestTermsAreCommitted(t *testing.T) {
	raw := bonded(t).Bytes()
	head := len(raw) - termsSize
	for i := range termsSize {
		bad := bytes.Clone(raw)
		bad[head+i] ^= 1
		c, err := DecodeCharter(bad)
		if err == nil && c.ID() == bonded(t).ID() {
			t.Errorf("byte %d of the terms counts for nothing", i)
		}
		if err != nil && !errors.Is(err, ErrCharter) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

func TestTermsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Terms){
		"no denominator":          func(t *Terms) { t.Den = 0 },
		"minority":                func(t *Terms) { t.Num, t.Den = 1, 3 },
		"more than all":           func(t *Terms) { t.Num = 4 },
		"final before acting":     func(t *Terms) { t.Final = 2 },
		"epoch shorter than that": func(t *Terms) { t.MinEpoch = 9 },
		"refresh too soon":        func(t *Terms) { t.Refresh = 9 },
		"refresh too late":        func(t *Terms) { t.Refresh = 300 },
		"no window":               func(t *Terms) { t.Window = 0 },
		"no rounds":               func(t *Terms) { t.Round = 0 },
		"nobody may come":         func(t *Terms) { t.Joins = 0 },
		"pot":                     func(t *Terms) { t.PotTarget = -1 },
		"bond":                    func(t *Terms) { t.MinBond = 1 },
		"depth":                   func(t *Terms) { t.Depth = 0 },
		"fee":                     func(t *Terms) { t.MaxFeeRate = bitcoin.MaxFeeRate + 1 },
		"penalty":                 func(t *Terms) { t.Penalties[0] = 10_001 },
	} {
		terms := testTerms()
		change(&terms)
		if _, err := NewBonded("x", "regtest", five(t), terms); !errors.Is(err, ErrCharter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := bonded(t).Text()
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"threshold":    {"\nthreshold = 4", "\nthreshold = 3"},
		"version":      {"version = 2", "version = 1"},
		"penalties":    {"penalties_basis_points = [500, 2000, 10000]", "penalties_basis_points = [500, 2000]"},
		"recovery key": {"pot_target_sat", "recovery_key = '02'\npot_target_sat"},
	} {
		changed := strings.Replace(string(text), edit[0], edit[1], 1)
		if changed == string(text) {
			t.Fatalf("%s: nothing to edit in\n%s", name, text)
		}
		if _, err := ParseCharter([]byte(changed)); !errors.Is(err, ErrCharter) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who promises two descriptors says two things under one topic, and that is proof for
// anybody.
func TestTwoPromisesAreProof(t *testing.T) {
	members := []protocols.NodeID{"alice", "bob", "carol", "mallory"}
	key := keysOf(t, 1, 0).Host
	public := key.Public()
	verify := func(_ protocols.NodeID, preimage, sig []byte) bool { return memberkey.Verify(public[:], preimage, sig) }
	machine := func(self protocols.NodeID) *echo.Machine {
		m, err := echo.New(echo.Config{Self: self, Members: members, Verify: verify, Sign: func(p []byte) ([]byte, error) {
			sig, err := key.Sign(p, [32]byte{})
			return sig[:], err
		}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	text := topic{epoch: 3, kind: topicPromise, slot: 1}.String()
	alice := machine("alice")
	var faults []protocols.Fault
	for _, descriptor := range [][32]byte{{1}, {2}} {
		e, err := machine("mallory").Broadcast(0, text, descriptor[:])
		if err != nil {
			t.Fatal(err)
		}
		for _, env := range e.Send {
			if env.To == "alice" {
				faults = append(faults, alice.Step(0, "mallory", env.Body).Faults...)
			}
		}
	}
	if len(faults) == 0 || faults[0].Proof == nil {
		t.Fatalf("faults %+v", faults)
	}
	proof, err := echo.VerifyEquivocation([32]byte{}, faults[0].Proof, verify)
	if err != nil || proof.Sender != "mallory" || proof.Topic != text {
		t.Errorf("%+v, %v", proof, err)
	}
	if tp, ok := parseTopic(proof.Topic); !ok || tp.kind != topicPromise {
		t.Errorf("topic %+v", tp)
	}
}

const goldenCharter = "cb6dce389a83aa46289868452cefc583124744c9e0688360a4674b9324038655"

func TestNamesOfKinds(t *testing.T) {
	for k, want := range map[Kind]string{Join: "join", Leave: "leave", Remove: "remove", Refresh: "refresh", 0: "unknown", 9: "unknown"} {
		if k.String() != want {
			t.Errorf("%d: %s", k, k)
		}
	}
	if _, err := hex.DecodeString(ID{1}.String()); err != nil {
		t.Error(err)
	}
}
