package epoch

import (
	"errors"
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
	strangers := append(hosts[:3:3], newSecret("host", 9<<32).plain())
	if err := d.CheckFounders(charter, strangers, sigs); !errors.Is(err, ErrFounders) {
		t.Errorf("a member who is no founder: %v", err)
	}
	later := successor(foundedState(t, 4), keyB, nil)
	if err := later.CheckFounders(charter, hosts, sigs); !errors.Is(err, ErrFounders) {
		t.Errorf("a later epoch: %v", err)
	}
}
