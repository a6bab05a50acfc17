package echo

import (
	"fmt"
	"slices"
	"testing"

	"frostfed/protocols"
)

// Each test here is a mistake that an earlier system of this kind made, or a threat
// of the threat model, by name.

// Echoes that only count senders let a malicious sender tell everyone something
// different. Here three ECHOs for different payloads are not a quorum.
func TestEchoesAreComparedByContent(t *testing.T) {
	c := newCluster(t, 4)
	c.step(1, "dave", sendOf("dave", "t", "a")) // bob's own ECHO is for a
	c.step(1, "alice", voteOf(kindEcho, "dave", "t", "b"))
	c.step(1, "carol", voteOf(kindEcho, "dave", "t", "c"))
	if s, _ := c.machines[1].Status("dave", "t"); len(s.Echoed) != 3 || len(s.Readied) != 0 {
		t.Fatalf("%+v", s)
	}
	c.step(1, "dave", voteOf(kindEcho, "dave", "t", "a"))
	if c.sent[kindReady] != 0 {
		t.Fatal("READY after two ECHOs for the same payload")
	}
}

// Waiting for n of n lets one silent member block everything. Here any f members
// may be mute.
func TestMuteMembersDoNotBlock(t *testing.T) {
	for n := 4; n <= 7; n++ {
		f := protocols.MaxFaulty(n)
		for first := 1; first+f <= n; first++ {
			c := newCluster(t, n)
			var live []int
			for i := range n {
				if i >= first && i < first+f {
					c.mute[c.members[i]] = true
				} else {
					live = append(live, i)
				}
			}
			c.broadcast(0, "topic", "payload")
			c.run()
			c.wantDelivered("payload", live...)
		}
	}
}

// A stalled member must not freeze later broadcasts: nothing here waits for an
// acknowledgement, so many instances end while one member takes nothing.
func TestStalledMemberDoesNotFreezeBroadcasts(t *testing.T) {
	c := newCluster(t, 4)
	c.mute["dave"] = true
	for i := range 20 {
		c.broadcast(i%3, fmt.Sprint(i), "x")
	}
	c.run()
	for i := range 3 {
		if len(c.delivered[i]) != 20 {
			t.Errorf("%s delivered %d of 20", c.members[i], len(c.delivered[i]))
		}
	}
	// When dave is back, Resync alone brings him everything.
	c.mute["dave"] = false
	for i := range 3 {
		c.absorb(i, c.machines[i].Resync(0, "dave"))
	}
	c.run()
	if len(c.delivered[3]) != 20 {
		t.Errorf("dave delivered %d of 20", len(c.delivered[3]))
	}
}

// The member that speaks is the one the channel authenticated: repeating a vote, or
// saying it in many messages, does not multiply it.
func TestOneVotePerMember(t *testing.T) {
	c := newCluster(t, 4)
	c.step(1, "alice", sendOf("alice", "t", "a"))
	for range 10 {
		c.step(1, "dave", voteOf(kindReady, "alice", "t", "a"))
		c.step(1, "dave", voteOf(kindEcho, "alice", "t", "a"))
	}
	if s, _ := c.machines[1].Status("alice", "t"); len(s.Readied) != 1 || s.Delivered {
		t.Fatalf("%+v", s)
	}
}

// A later message must not replace an earlier one: the first SEND is final.
func TestFirstPayloadIsFinal(t *testing.T) {
	c := newCluster(t, 4)
	c.step(1, "dave", sendOf("dave", "t", "first"))
	c.step(1, "dave", sendOf("dave", "t", "second"))
	in := c.machines[1].instances[key{"dave", "t"}]
	if string(in.payload) != "first" || c.sent[kindEcho] != 3 {
		t.Fatalf("holds %q after %d ECHOs", in.payload, c.sent[kindEcho])
	}
}

// Messages of another federation, or another topic, mean nothing here.
func TestReplayFromAnotherFederation(t *testing.T) {
	elsewhere := newCluster(t, 4)
	for _, m := range elsewhere.machines {
		m.cfg.Federation = [32]byte{9}
	}
	elsewhere.broadcast(0, "topic", "payload")
	var all []carried
	for len(elsewhere.queue) > 0 {
		q := elsewhere.queue[0]
		all = append(all, q)
		elsewhere.queue = elsewhere.queue[1:]
		elsewhere.step(slices.Index(elsewhere.members, q.to), q.from, q.body)
	}
	c := newCluster(t, 4)
	for _, q := range all {
		c.step(slices.Index(c.members, q.to), q.from, q.body)
	}
	if len(c.queue) != 0 || len(c.machines[1].instances) != 0 || len(c.faults) != len(all) {
		t.Fatalf("%d of %d messages refused", len(c.faults), len(all))
	}
}

// The sender dies for good after any number of its messages. All others
// deliver, or none does.
func TestSenderDiesAtEachSend(t *testing.T) {
	for _, n := range []int{4, 7} {
		for k := 0; ; k++ {
			c := newCluster(t, n)
			c.broadcast(0, "topic", "payload")
			done := k >= len(c.queue)
			c.queue = c.queue[:min(k, len(c.queue))]
			c.mute["alice"] = false
			for len(c.queue) > 0 {
				q := c.queue[0]
				c.queue = c.queue[1:]
				if q.to != "alice" {
					c.step(slices.Index(c.members, q.to), q.from, q.body)
				}
			}
			total := 0
			for i := 1; i < n; i++ {
				total += len(c.delivered[i])
			}
			if total != 0 && total != n-1 {
				t.Errorf("n=%d: after %d messages %d of %d delivered", n, k, total, n-1)
			}
			if done {
				if total != n-1 {
					t.Errorf("n=%d: %d delivered though all was sent", n, total)
				}
				break
			}
		}
	}
}

// Each member crashes at each of its steps: before the commit, after it and before
// the first send, or half way through the sends. All deliver in the end.
func TestCrashAtEachStep(t *testing.T) {
	steps := 0
	for victim := range 4 {
		for _, mode := range []string{"before commit", "before send", "half sent"} {
			for at := 0; ; at++ {
				c := newCluster(t, 4)
				crashed := crashAt(c, victim, at, mode)
				for i := range 4 {
					if n := len(c.delivered[i]); n == 0 || string(c.delivered[i][0].Payload) != "payload" {
						t.Fatalf("%s crashes %s at step %d: %s delivered %v", c.members[victim], mode, at, c.members[i], c.delivered[i])
					}
				}
				if len(c.faults) > 0 {
					t.Fatalf("%+v", c.faults)
				}
				if !crashed {
					break
				}
				steps++
			}
		}
	}
	if steps < 60 {
		t.Fatalf("only %d crashes tried", steps)
	}
}

// crashAt broadcasts from alice and crashes victim at its step number at. It returns
// false if there was no such step.
func crashAt(c *cluster, victim, at int, mode string) (crashed bool) {
	step := 0
	handle := func(i int, e Effects) {
		if i == victim {
			step++
		}
		if i != victim || step != at+1 || crashed {
			c.absorb(i, e)
			return
		}
		crashed = true
		switch mode {
		case "before commit":
			e = Effects{}
		case "before send":
			e.Send, e.Out = nil, nil
		case "half sent":
			e.Send, e.Out = e.Send[:len(e.Send)/2], nil
		}
		c.absorb(i, e)
		m, r, err := Restore(c.machines[i].cfg, c.records(i))
		if err != nil {
			c.t.Fatal(err)
		}
		c.machines[i] = m
		c.queue = slices.DeleteFunc(c.queue, func(q carried) bool { return q.to == c.members[i] })
		c.absorb(i, r)
		c.absorb(i, m.Tick(c.now))
		for j := range c.machines {
			c.absorb(j, c.machines[j].Resync(c.now, c.members[i]))
		}
	}
	for {
		e, err := c.machines[0].Broadcast(c.now, "topic", []byte("payload"))
		if err != nil {
			c.t.Fatal(err)
		}
		handle(0, e)
		if s, ok := c.machines[0].Status("alice", "topic"); ok && len(s.Echoed) > 0 {
			break // otherwise alice crashed before her commit, and does it again
		}
	}
	for len(c.queue) > 0 {
		q := c.queue[0]
		c.queue = c.queue[1:]
		i := slices.Index(c.members, q.to)
		handle(i, c.machines[i].Step(c.now, q.from, slices.Clone(q.body)))
	}
	return crashed
}

// A malicious sender shows each of the three honest members a, b or nothing,
// and gives each any ECHO and READY. All 19683 ways end in agreement and totality.
// To test the test, each wrong quorum must be caught.
func TestEverySplit(t *testing.T) {
	rows := []struct {
		name string
		bend func(*Machine)
		ok   bool
	}{
		{"Bracha's quorums", func(*Machine) {}, true},
		{"fewer ECHOs", func(m *Machine) { m.echoQuorum-- }, false},
		{"amplification by one", func(m *Machine) { m.amplification-- }, false},
		{"late amplification", func(m *Machine) { m.amplification++ }, false},
		{"fewer READYs to deliver", func(m *Machine) { m.deliveryQuorum-- }, false},
		{"more READYs to deliver", func(m *Machine) { m.deliveryQuorum++ }, false},
	}
	var sends, echoes, readies [3][]byte
	for v, payload := range []string{1: "a", 2: "b"} {
		if v > 0 {
			sends[v] = sendOf("dave", "t", payload)
			echoes[v] = voteOf(kindEcho, "dave", "t", payload)
			readies[v] = voteOf(kindReady, "dave", "t", payload)
		}
	}
	const all = 3 * 3 * 3 * 3 * 3 * 3 * 3 * 3 * 3
	for _, r := range rows {
		stride := 1
		if testing.Short() {
			stride = 7
		}
		bad := 0
		for way := 0; way < all && (r.ok || bad == 0); way += stride {
			c := newCluster(t, 4)
			c.mute["dave"] = true
			for _, m := range c.machines {
				r.bend(m)
			}
			rest := way
			for _, said := range [][3][]byte{sends, echoes, readies} {
				for i := range 3 {
					if body := said[rest%3]; body != nil {
						c.step(i, "dave", body)
					}
					rest /= 3
				}
			}
			c.settle()
			values, total := map[string]bool{}, 0
			for i := range 3 {
				for _, d := range c.delivered[i] {
					values[string(d.Payload)] = true
					total++
				}
			}
			if len(values) > 1 || total%3 != 0 {
				bad++
			}
		}
		if (bad == 0) != r.ok {
			t.Errorf("%s: %d violations", r.name, bad)
		}
	}
}
