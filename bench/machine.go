package bench

import (
	"crypto/sha256"
	"math/rand/v2"

	"frostfed/protocols"
	"frostfed/protocols/frost/dkg"
)

// replay measures the machine of one member. A ceremony of all members runs once,
// over an ideal broadcast and network; what the last member received is kept, and
// fed to a new machine each time. The machine is deterministic, so that it does
// and sends the same again.
type replay struct {
	configs []dkg.Config
	inputs  []input // of the last member, in order
}

type input struct {
	to, from protocols.NodeID
	topic    string // of a delivered broadcast, else empty
	body     []byte
}

type effects = protocols.Effects[dkg.Event]

func newReplay(size Size) (Round, error) {
	list, err := hostKeys(size.N)
	if err != nil {
		return nil, err
	}
	members := make([]dkg.Member, size.N)
	for i, key := range list {
		members[i] = dkg.Member{ID: protocols.NodeID(bytes32("member %d", i)), HostKey: [33]byte(key)}
	}
	r := &replay{}
	for i, m := range members {
		r.configs = append(r.configs, dkg.Config{
			Self: m.ID, Members: members,
			HostSecret: func() [32]byte { return [32]byte(hostSecret(i)) },
			Notary: dkg.Notary{ // who signed what is the business of broadcast
				Hash:   func(payload []byte) [32]byte { return sha256.Sum256(payload) },
				Verify: func(protocols.NodeID, string, [32]byte, []byte) bool { return true },
			},
		})
	}
	if err := r.record(size.T); err != nil {
		return nil, err
	}
	return repeat(func() error { return r.run(size.T) }), nil
}

// machine makes member i anew, with the randomness it always has.
func (r *replay) machine(i int) (*dkg.Machine, error) {
	cfg := r.configs[i]
	cfg.Rand = rand.NewChaCha8([32]byte(bytes32("randomness of member %d", i)))
	return dkg.New(cfg)
}

func start(m *dkg.Machine, t int) effects {
	return work(m, m.Start(0, dkg.Ceremony{ID: [32]byte(bytes32("ceremony")), T: t, Label: "bench"}))
}

func (in input) feed(m *dkg.Machine) effects {
	if in.topic != "" {
		return work(m, m.Delivered(0, in.from, in.topic, in.body, [64]byte{}))
	}
	return work(m, m.Step(0, in.from, in.body))
}

// work runs the jobs of e, and those that follow from their results.
func work(m *dkg.Machine, e effects) effects {
	for k := 0; k < len(e.Work); k++ {
		e.Append(m.Done(0, e.Work[k].ID, e.Work[k].Run()))
	}
	return e
}

// record runs all members until nothing is on the way.
func (r *replay) record(t int) error {
	machines := make(map[protocols.NodeID]*dkg.Machine)
	last := r.configs[len(r.configs)-1].Self
	var queue []input
	send := func(from protocols.NodeID, e effects) {
		for _, event := range e.Out {
			if b, ok := event.(dkg.Broadcast); ok {
				for _, c := range r.configs {
					queue = append(queue, input{c.Self, from, b.Topic, b.Payload})
				}
			}
		}
		for _, env := range e.Send {
			queue = append(queue, input{to: env.To, from: from, body: env.Body})
		}
	}
	for i, c := range r.configs {
		m, err := r.machine(i)
		if err != nil {
			return err
		}
		machines[c.Self] = m
		send(c.Self, start(m, t))
	}
	for k := 0; k < len(queue); k++ {
		in := queue[k]
		queue[k] = input{} // the payloads of 100 members need not all stay
		if in.to == last {
			r.inputs = append(r.inputs, in)
		}
		send(in.to, in.feed(machines[in.to]))
	}
	return nil
}

// run is the whole life of the last member's machine in one ceremony.
func (r *replay) run(t int) error {
	m, err := r.machine(len(r.configs) - 1)
	if err != nil {
		return err
	}
	start(m, t)
	for _, in := range r.inputs {
		in.feed(m)
	}
	if s := m.Sessions(); len(s) != 1 || s[0].Phase != dkg.PhaseComplete {
		return errIncomplete
	}
	return nil
}
