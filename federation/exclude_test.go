package federation

import (
	"testing"

	"frostfed/bitcoin"
)

// A member that stays away from a key generation is voted out of it; the others
// have a key without it and pay with it, also when it is back.
func TestKeyWithoutSilentMember(t *testing.T) {
	w := newWorld(t, 4, func(_ int, cfg *Config) { cfg.Silence = 30_000 })
	w.kill(3)
	w.newKey("main")
	for range 20 {
		w.run()
	}
	for i := range 3 {
		keys := w.cores[i].Keys()
		if len(keys) != 1 || keys[0].Phase != "complete" || keys[0].N != 3 || keys[0].Xpub == "" {
			t.Fatalf("member %d: keys %+v", i, keys)
		}
		for _, d := range w.out[i] {
			if f, failed := d.(KeyFailed); failed {
				t.Fatalf("member %d: %+v", i, f)
			}
		}
	}
	w.fund("main", 1_000_000)
	w.start(3)
	for range 5 {
		w.run()
	}
	list := payouts(t, "week 1", 5, 10_000)
	w.addList(list, 0, 1, 2, 3)
	id := w.pay(1, list)
	for i := range 3 {
		if w.state(i, id) != StateSigned {
			t.Fatalf("member %d: %s", i, w.state(i, id))
		}
	}
	if keys := w.cores[3].Keys(); len(keys) != 1 || keys[0].Phase != "failed" {
		t.Fatalf("the excluded member: %+v", keys)
	}
}

// The proposal of a key says how far exclusion may go; nobody may let it go
// further than the federation's own bounds.
func TestProposalBounds(t *testing.T) {
	w := newWorld(t, 4, nil)
	core := w.cores[0]
	for name, p := range map[string]ceremony{
		"fewer than n-f": {Label: "a", T: core.cfg.Charter.Threshold, MinMembers: 2},
		"more than n":    {Label: "a", T: core.cfg.Charter.Threshold, MinMembers: 5},
		"spare above n":  {Label: "a", T: core.cfg.Charter.Threshold, MinMembers: 3, MinSpare: 2},
	} {
		var out Effects
		payload := p.encode()
		sender := w.configs[1].Self
		core.ceremonyProposed(w.now, &out, sender, core.proposalID(ceremonyTag, sender, payload), payload)
		if len(out.Faults) != 1 || out.Faults[0].Kind != FaultBadProposal || len(core.Keys()) != 0 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	good := ceremony{Label: "a", T: core.cfg.Charter.Threshold, Birth: bitcoin.Height(7), MinMembers: 4, MinSpare: 1, NoExclusion: true}
	back, err := decodeCeremony(good.encode())
	if err != nil || *back != good {
		t.Fatalf("%+v %v", back, err)
	}
}
