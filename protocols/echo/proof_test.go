package echo

import "testing"

// What is delivered can be proved to strangers, by every member and after a
// restart too, and nothing else can be made of the proof.
func TestDeliveredProvesItself(t *testing.T) {
	c := newCluster(t, 4)
	c.broadcast(1, "topic", "payload")
	c.run()
	m, e, err := Restore(c.machines[0].cfg, c.records(0))
	if err != nil || m == nil {
		t.Fatal(err)
	}
	all := e.Out
	for i := range c.delivered {
		all = append(all, c.delivered[i]...)
	}
	if len(all) != 5 {
		t.Fatalf("%d deliveries", len(all))
	}
	for _, d := range all {
		holds := func() bool {
			return VerifyBroadcast(federation, d.Sender, d.Topic, d.Hash, d.Signature[:], verify)
		}
		if d.Hash != HashPayload(d.Payload) || !holds() {
			t.Fatalf("%+v", d)
		}
		for name, bend := range map[string]func(){
			"sender":       func() { d.Sender = "alice" },
			"no sender":    func() { d.Sender = "" },
			"topic":        func() { d.Topic = "other" },
			"no topic":     func() { d.Topic = "" },
			"long topic":   func() { d.Topic = string(make([]byte, MaxTopic+1)) },
			"other hash":   func() { d.Hash = HashPayload([]byte("other")) },
			"signature":    func() { d.Signature[63] ^= 1 },
			"no signature": func() { d.Signature = [SignatureSize]byte{} },
		} {
			kept := d
			bend()
			if holds() {
				t.Errorf("%s", name)
			}
			d = kept
		}
		if VerifyBroadcast([32]byte{9}, d.Sender, d.Topic, d.Hash, d.Signature[:], verify) {
			t.Error("in another federation")
		}
		if VerifyBroadcast(federation, d.Sender, d.Topic, d.Hash, d.Signature[:63], verify) {
			t.Error("short signature")
		}
	}
}
