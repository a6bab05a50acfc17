package epoch

import (
	"errors"
	"slices"
	"testing"
)

func TestFounders(t *testing.T) {
	d := founding(keyA, 4)
	hosts := make([][33]byte, 4)
	sign := func(d Descriptor) [][64]byte {
		msg := FoundingMessage(d.Hash())
		sigs := make([][64]byte, len(d.Members))
		for i, m := range d.Members {
			hosts[i] = m.Host
			for id := range uint64(4) {
				if key := newSecret("host", id<<32); key.plain() == m.Host {
					sigs[i], _ = key.Sign(msg[:], [32]byte{})
				}
			}
		}
		return sigs
	}
	other := founding(keyB, 4)
	sigs, others := sign(d), sign(other)
	charter := d.Federation
	if err := d.CheckFounders(charter, hosts, sigs); err != nil {
		t.Fatal(err)
	}
	if err := other.CheckFounders(charter, hosts, sigs); !errors.Is(err, ErrFounders) {
		t.Errorf("another key: %v", err)
	}
	if err := d.CheckFounders(charter, hosts, append(sigs[:3:3], others[3])); !errors.Is(err, ErrFounders) {
		t.Errorf("one founder signed another key: %v", err)
	}
	if err := d.CheckFounders([32]byte{1}, hosts, sigs); !errors.Is(err, ErrFounders) {
		t.Errorf("another charter: %v", err)
	}
	if err := d.CheckFounders(charter, hosts[:3], sigs[:3]); !errors.Is(err, ErrFounders) {
		t.Errorf("a founder less: %v", err)
	}
	// A charter of others who sign: the bonds are still those of the members.
	strangers, theirs := slices.Clone(hosts), slices.Clone(sigs)
	stranger := newSecret("host", 9<<32)
	strangers[3] = stranger.plain()
	msg := FoundingMessage(d.Hash())
	theirs[3], _ = stranger.Sign(msg[:], [32]byte{})
	if err := d.CheckFounders(charter, strangers, theirs); !errors.Is(err, ErrFounders) {
		t.Errorf("a founder who is no member: %v", err)
	}
	// A later epoch of the same members, signed as a founding is.
	later := d
	later.Number, later.Previous, later.PreviousThread = 1, [32]byte{1}, outPoint("thread", 1)
	if err := later.CheckFounders(charter, hosts, sign(later)); !errors.Is(err, ErrFounders) {
		t.Errorf("a later epoch: %v", err)
	}
}
