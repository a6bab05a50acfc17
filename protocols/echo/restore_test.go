package echo

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"frostfed/protocols"
)

func TestRestore(t *testing.T) {
	c := newCluster(t, 4)
	c.broadcast(0, "mine", "one")
	c.broadcast(1, "other", "two")
	c.run()
	c.step(0, "carol", sendOf("carol", "open", "three")) // not delivered
	m, e, err := Restore(c.machines[0].cfg, c.records(0))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alice mine one", "bob other two"}
	var got []string
	for _, d := range e.Out {
		got = append(got, fmt.Sprintf("%s %s %s", d.Sender, d.Topic, d.Payload))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || len(e.Persist) != 0 || len(e.Faults) != 0 {
		t.Fatalf("%v %+v", got, e)
	}
	if !reflect.DeepEqual(durable(m), durable(c.machines[0])) || len(durable(m)) != 3 {
		t.Fatalf("%v", durable(m))
	}
	// Everything said before is said again, the SEND only for alice's own.
	sent := map[byte]int{}
	for _, env := range m.Tick(0).Send {
		sent[env.Body[0]]++
	}
	if sent[kindSend] != 3 || sent[kindEcho] != 9 || sent[kindReady] != 6 || m.Deadline() != protocols.Never {
		t.Fatalf("%v, next at %d", sent, m.Deadline())
	}
	if e, err := m.Broadcast(0, "mine", []byte("one")); err != nil || len(e.Send) != 0 {
		t.Fatalf("%+v %v", e, err)
	}
	if _, err := m.Broadcast(0, "mine", []byte("changed")); !errors.Is(err, ErrConflict) {
		t.Fatalf("after a restart alice signs something else: %v", err)
	}
}

// Instances of a sender that left are deleted.
func TestRestoreWithoutSender(t *testing.T) {
	c := newCluster(t, 5)
	c.broadcast(4, "t", "x")
	c.broadcast(3, "t", "x")
	c.run()
	m, e, err := Restore(config(4, "alice"), c.records(0))
	if err != nil || len(m.instances) != 1 || len(e.Persist) != 2 || len(e.Out) != 1 {
		t.Fatalf("%+v %v", e, err)
	}
	for _, r := range e.Persist {
		if r.Value != nil || c.disks[0][r.Key] == nil {
			t.Fatalf("%+v", r)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	rows := []struct {
		name string
		bend func(votes, payload *protocols.Record)
	}{
		{"unknown key", func(v, _ *protocols.Record) { v.Key = "x/1" }},
		{"other instance's key", func(v, _ *protocols.Record) { v.Key += "0" }},
		{"votes version", func(v, _ *protocols.Record) { v.Value[0]++ }},
		{"payload version", func(_, p *protocols.Record) { p.Value[0]++ }},
		{"votes cut", func(v, _ *protocols.Record) { v.Value = v.Value[:len(v.Value)-1] }},
		{"votes long", func(v, _ *protocols.Record) { v.Value = append(v.Value, 0) }},
		{"payload changed", func(_, p *protocols.Record) { p.Value[1] ^= 1 }},
		{"payload of nothing", func(_, p *protocols.Record) { p.Key += "0" }},
		{"empty value", func(_, p *protocols.Record) { p.Value = nil }},
	}
	for _, r := range rows {
		c := newCluster(t, 4)
		c.broadcast(0, "t", "payload")
		records := c.records(0)
		slices.SortFunc(records, func(a, b protocols.Record) int { return int(b.Key[0]) - int(a.Key[0]) })
		r.bend(&records[0], &records[1])
		if _, _, err := Restore(c.machines[0].cfg, records); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
	if _, _, err := Restore(Config{}, nil); !errors.Is(err, ErrConfig) {
		t.Errorf("bad config: %v", err)
	}
}
