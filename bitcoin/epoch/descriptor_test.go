package epoch

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/bip445"
)

// busy is a descriptor that uses every field.
func busy(t testing.TB) Descriptor {
	t.Helper()
	state := foundedState(t, 5)
	d := successor(state, keyB, []Member{person(7, 1, 500_000)},
		Change{Bond: state.Members[1].Bond, Kind: Removed, Class: Silence, Evidence: digest("silent")},
		Change{Bond: state.Members[2].Bond, Kind: Exited})
	d.Terms.Recovery = newSecret("recovery", 0).xonly()
	return d
}

func TestDescriptorRoundTrip(t *testing.T) {
	for name, d := range map[string]Descriptor{"founding": founding(keyA, 3), "one": founding(keyA, 1), "full": founding(keyA, MaxMembers), "busy": busy(t)} {
		raw := d.Bytes()
		got, err := Decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Bytes(), raw) || got.Hash() != d.Hash() {
			t.Errorf("%s: decoded to something else", name)
		}
		if len(raw) > MaxDescriptor {
			t.Errorf("%s: %d bytes, bound is %d", name, len(raw), MaxDescriptor)
		}
	}
	if MaxMembers != bip445.MaxParticipants {
		t.Error("more members than can sign")
	}
}

// TestEveryByteCounts: each byte of a descriptor, changed, makes it invalid or
// another one with other bonds.
func TestEveryByteCounts(t *testing.T) {
	d := busy(t)
	raw := d.Bytes()
	base := mustNew(t, d)
	bond, err := base.Bond(0)
	if err != nil {
		t.Fatal(err)
	}
	decoded := 0
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		other, err := Decode(changed)
		if err != nil {
			if !errors.Is(err, ErrDescriptor) {
				t.Fatalf("byte %d: %v", i, err)
			}
			continue
		}
		decoded++
		e := mustNew(t, *other)
		got, err := e.Bond(0)
		if err != nil {
			t.Fatal(err)
		}
		if e.Hash() == base.Hash() || got.OutputKey == bond.OutputKey {
			t.Fatalf("byte %d changed nothing", i)
		}
	}
	if decoded < 100 {
		t.Errorf("only %d of %d changes decoded: the test is too easy", decoded, len(raw))
	}
}

func TestDescriptorRefuses(t *testing.T) {
	off := [32]byte{31: 5} // x = 5 is no point of the curve
	cases := map[string]func(*Descriptor){
		"network":                   func(d *Descriptor) { d.Network = 0 },
		"key off the curve":         func(d *Descriptor) { d.Key = [33]byte{2} },
		"threshold 0":               func(d *Descriptor) { d.Threshold = 0 },
		"threshold above n":         func(d *Descriptor) { d.Threshold = len(d.Members) + 1 },
		"nobody":                    func(d *Descriptor) { d.Members = nil },
		"no predecessor":            func(d *Descriptor) { d.Previous = [32]byte{} },
		"no thread":                 func(d *Descriptor) { d.PreviousThread = wire.OutPoint{} },
		"founding with predecessor": func(d *Descriptor) { d.Number = 0 },
		"founding with changes":     func(d *Descriptor) { d.Number, d.Previous, d.PreviousThread = 0, [32]byte{}, wire.OutPoint{} },
		"members unsorted":          func(d *Descriptor) { slices.Reverse(d.Members) },
		"member twice":              func(d *Descriptor) { d.Members[1] = d.Members[0] },
		"bond key twice":            func(d *Descriptor) { d.Members[1].Bond = d.Members[0].Bond },
		"peer twice":                func(d *Descriptor) { d.Members[1].Peer = d.Members[0].Peer },
		"host of both parities": func(d *Descriptor) {
			d.Members[0].Host[0], d.Members[1].Host = 2, d.Members[0].Host
			d.Members[1].Host[0] = 3
			d.Sort()
		},
		"host off the curve":      func(d *Descriptor) { d.Members[0].Host = [33]byte{2} },
		"bond off the curve":      func(d *Descriptor) { d.Members[0].Bond = off },
		"peer empty":              func(d *Descriptor) { d.Members[0].Peer = "" },
		"peer long":               func(d *Descriptor) { d.Members[0].Peer = string(make([]byte, MaxPeer+1)) },
		"refund to nobody":        func(d *Descriptor) { d.Members[0].Refund = []byte{0x6a} },
		"refund to a lost key":    func(d *Descriptor) { d.Members[0].Refund = append([]byte{0x51, 32}, off[:]...) },
		"bond too small":          func(d *Descriptor) { d.Members[0].Value = d.Terms.MinBond - 1 },
		"bond of too much":        func(d *Descriptor) { d.Members[0].Value = bitcoin.MaxMoney + 1 },
		"bonds of too much":       func(d *Descriptor) { d.Members[0].Value, d.Members[1].Value = bitcoin.MaxMoney/2, bitcoin.MaxMoney/2 },
		"changes unsorted":        func(d *Descriptor) { slices.Reverse(d.Changes) },
		"change twice":            func(d *Descriptor) { d.Changes[1] = d.Changes[0] },
		"unknown kind":            func(d *Descriptor) { d.Changes[0].Kind = kinds },
		"no kind":                 func(d *Descriptor) { d.Changes[0].Kind = 0 },
		"unknown class":           func(d *Descriptor) { d.Changes[0].Kind, d.Changes[0].Class = Removed, classes },
		"removed for nothing":     func(d *Descriptor) { d.Changes[0].Kind, d.Changes[0].Class = Removed, 0 },
		"left with a class":       func(d *Descriptor) { d.Changes[0].Kind, d.Changes[0].Class = Left, Fault },
		"joined, but not there":   func(d *Descriptor) { d.Members = d.Members[:1]; d.Threshold = 1; onlyJoin(d) },
		"gone, but there":         func(d *Descriptor) { d.Changes[0].Bond = d.Members[0].Bond; d.Sort() },
		"too many changes":        func(d *Descriptor) { d.Changes = make([]Change, MaxChanges+1) },
		"depth 0":                 func(d *Descriptor) { d.Terms.Depth = 0 },
		"delay 0":                 func(d *Descriptor) { d.Terms.Delay = 0 },
		"delay within depth":      func(d *Descriptor) { d.Terms.Delay = d.Terms.Depth },
		"deposits never ripe":     func(d *Descriptor) { d.Terms.DepositDelay = 2*d.Terms.Depth + 1 },
		"griefing bonds":          func(d *Descriptor) { d.Terms.MinBond = MinBond - 1 },
		"entry fee below 0":       func(d *Descriptor) { d.Terms.EntryFee = -1 },
		"entry fee of too much":   func(d *Descriptor) { d.Terms.EntryFee = bitcoin.MaxMoney + 1 },
		"fee rate too low":        func(d *Descriptor) { d.Terms.MaxFeeRate = bitcoin.MinFeeRate - 1 },
		"fee rate too high":       func(d *Descriptor) { d.Terms.MaxFeeRate = bitcoin.MaxFeeRate + 1 },
		"penalty above the bond":  func(d *Descriptor) { d.Terms.Penalties[1] = 10_001 },
		"recovery off the curve":  func(d *Descriptor) { d.Terms.Recovery = off },
		"recovery beyond a delay": func(d *Descriptor) { d.Terms.Delay = maxDelay/recoveryFactor + 1 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			d := busy(t)
			change(&d)
			if _, err := New(d); !errors.Is(err, ErrDescriptor) {
				t.Fatalf("New: %v", err)
			}
			// What can be encoded must not decode either.
			if len(d.Changes) <= MaxChanges {
				if _, err := Decode(d.Bytes()); !errors.Is(err, ErrDescriptor) {
					t.Errorf("Decode: %v", err)
				}
			}
		})
	}
	raw := founding(keyA, 3)
	for _, b := range [][]byte{nil, {1}, raw.Bytes()[:100], append(raw.Bytes(), 0), make([]byte, MaxDescriptor+1)} {
		if _, err := Decode(b); !errors.Is(err, ErrDescriptor) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// onlyJoin leaves one change: a stranger joined who is no member.
func onlyJoin(d *Descriptor) {
	d.Changes = []Change{{Bond: bondKey(77).xonly(), Kind: Joined}}
}

func TestFollowRefuses(t *testing.T) {
	state := foundedState(t, 5)
	leaver := state.Members[2]
	good := func() Descriptor {
		return successor(state, keyB, []Member{person(9, 1, 200_000)}, Change{Bond: leaver.Bond, Kind: Left})
	}
	if err := state.Follow(mustNew(t, good())); err != nil {
		t.Fatal(err)
	}
	stays := func(d *Descriptor) *Member { return &d.Members[d.Member(state.Members[0].Bond)] }
	cases := map[string]func(*Descriptor){
		"number skipped":     func(d *Descriptor) { d.Number++ },
		"another previous":   func(d *Descriptor) { d.Previous[0] ^= 1 },
		"another thread":     func(d *Descriptor) { d.PreviousThread.Hash[0] ^= 1 },
		"bond as thread":     func(d *Descriptor) { d.PreviousThread.Index = 1 },
		"another network":    func(d *Descriptor) { d.Network = bitcoin.Signet },
		"another federation": func(d *Descriptor) { d.Federation[0] ^= 1 },
		"terms changed":      func(d *Descriptor) { d.Terms.Delay-- },
		"key kept":           func(d *Descriptor) { d.Key = state.Key },
		"key negated":        func(d *Descriptor) { d.Key = state.Key; d.Key[0] ^= 1 },
		"peer changed":       func(d *Descriptor) { stays(d).Peer += "x" },
		"value changed":      func(d *Descriptor) { stays(d).Value++ },
		"refund changed":     func(d *Descriptor) { stays(d).Refund = p2trOf(newSecret("thief", 0)) },
		"gone without a change": func(d *Descriptor) {
			i := d.Member(state.Members[0].Bond)
			d.Members = slices.Delete(d.Members, i, i+1)
		},
		"replaced without a change": func(d *Descriptor) {
			d.Members[d.Member(state.Members[0].Bond)] = person(20, 1, 200_000)
			d.Sort()
		},
		"came without a change": func(d *Descriptor) { d.Members = append(d.Members, person(20, 1, 200_000)); d.Sort() },
		"a stranger left": func(d *Descriptor) {
			d.Changes = append(d.Changes, Change{Bond: bondKey(50).xonly(), Kind: Left})
			d.Sort()
		},
		"a member joined again": func(d *Descriptor) {
			d.Changes = append(d.Changes, Change{Bond: state.Members[0].Bond, Kind: Joined})
			d.Sort()
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			d := good()
			change(&d)
			if err := state.Follow(mustNew(t, d)); !errors.Is(err, ErrSuccession) {
				t.Error(err)
			}
		})
	}
}
