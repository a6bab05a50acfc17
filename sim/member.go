package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"frostfed/bitcoin"
	"frostfed/federation"
	"frostfed/protocols"
)

// member is one process after another with one disk: a driver of a core with
// the same duties as the daemon's loop.
type member struct {
	w     *world
	index int
	cfg   federation.Config // without randomness, which is new for each process
	disk  *disk

	core   *federation.Core // nil while down
	boot   int              // counts processes; events of an older one do nothing
	bootAt int64
	seen   []int // by member: the connection it knows of

	inbox   []input
	waking  bool // an event to handle the inbox is planned
	timer   uint64
	polling bool
	jobs    int // computing

	boundaries int // between effects that it has passed

	faulty bool    // from some time on
	kind   string  // of fault
	puppet *puppet // the adversary between the core and the network, if it is faulty and runs
}

type input func(now protocols.Time) federation.Effects

// now is the clock of the process: it begins anew with each.
func (m *member) now() protocols.Time { return protocols.Time(m.w.now-m.bootAt) + 1 }

// start begins a process from the disk.
func (m *member) start() {
	w := m.w
	if m.core != nil || m.kind == "crash" {
		return
	}
	m.boot++
	m.bootAt = w.now
	cfg := m.cfg
	cfg.Rand = w.randomness(m.index, m.boot)
	if w.mutant == Amnesia {
		m.disk = newDisk()
	}
	core, effects, err := federation.Restore(m.now(), cfg, m.disk.load())
	if err != nil {
		w.fail("restore", "member %d does not start: %v", m.index, err)
		return
	}
	w.trace.add(w.now, "start %d, process %d, %d records", m.index, m.boot, len(m.disk.records))
	m.core, m.seen = core, make([]int, w.knobs.N)
	m.inbox, m.waking, m.polling, m.jobs, m.puppet = nil, false, false, 0, nil
	if m.faulty {
		m.puppet = newPuppet(m)
	}
	m.give(func(protocols.Time) federation.Effects { return effects })
	boot := m.boot
	w.after(w.rng.Int64N(w.knobs.NodeLag), func() {
		if m.boot == boot {
			m.give(func(now protocols.Time) federation.Effects { return m.core.ChainReady(now, true) })
			m.poll()
		}
	})
	w.net.refresh()
	w.work.restarted(m)
}

// randomness is the stream of one process. A process that begins again must not
// draw again what the one before drew, nor does it know what that was.
func (w *world) randomness(member, boot int) io.Reader {
	stream := func(boot int) io.Reader {
		b := binary.BigEndian.AppendUint64([]byte("frostfed/sim/process"), w.seed)
		b = binary.BigEndian.AppendUint32(b, uint32(member))
		return rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(boot))))
	}
	if w.mutant == SameRandomness {
		// All but the number of the process, by which peers would notice at once.
		return io.MultiReader(io.LimitReader(stream(boot), 8), stream(0))
	}
	return stream(boot)
}

// stop kills the process; the world may start another one.
func (m *member) stop() {
	if m.core == nil {
		return
	}
	m.w.trace.add(m.w.now, "stop %d", m.index)
	m.core = nil
	m.boot++
	m.inbox = nil
	m.w.net.drop(m.index)
	m.w.net.refresh()
}

// give hands an input to the process. It shares a commit with those that come
// until the process wakes.
func (m *member) give(in input) {
	if m.core == nil {
		return
	}
	m.inbox = append(m.inbox, in)
	if m.waking {
		return
	}
	m.waking = true
	boot := m.boot
	m.w.after(m.w.rng.Int64N(m.w.knobs.Batch+1), func() {
		if m.boot == boot {
			m.wake()
		}
	})
}

// wake is one turn of the loop: inputs, tick, commit, effects.
func (m *member) wake() {
	m.waking = false
	inbox := m.inbox
	m.inbox = nil
	var effects federation.Effects
	for _, in := range inbox {
		effects.Append(in(m.now()))
	}
	effects.Append(m.core.Tick(m.now()))
	m.settle(effects)
	if m.core != nil {
		m.sleep()
	}
}

// sleep plans the next turn for the deadline of the core.
func (m *member) sleep() {
	m.timer++
	deadline := m.core.Deadline()
	if deadline == protocols.Never {
		return
	}
	boot, timer := m.boot, m.timer
	m.w.after(max(1, int64(deadline-m.now())), func() {
		if m.boot == boot && m.timer == timer && !m.waking {
			m.wake()
		}
	})
}

// settle makes effects durable and then lets them take place, unless the process
// dies at one of the boundaries between them.
func (m *member) settle(e federation.Effects) {
	w := m.w
	// The process dies after so many of: commit, each send, the rest.
	death := -1
	if w.mayCrash() {
		death = w.rng.IntN(len(e.Send) + 3)
	}
	step := 0
	alive := func() bool {
		if c := w.options.Crash; c != nil && c.Member == m.index && c.Boundary == m.boundaries {
			w.trace.add(w.now, "crash %d at boundary %d", m.index, m.boundaries)
			if c.Image >= 0 {
				m.disk.rewind(c.Image)
				m.cfg.ScanFrom = 1
			}
			m.stop()
			w.after(1_000, m.start)
		}
		m.boundaries++
		if step == death {
			w.trace.add(w.now, "crash %d after step %d of %d", m.index, step, len(e.Send)+2)
			m.crash()
		}
		step++
		return m.core != nil
	}
	if w.mutant == SpeakFirst {
		for _, env := range e.Send {
			m.send(env)
		}
		e.Send = nil
		if !w.calm && len(e.Persist) > 0 && w.rng.IntN(50) == 0 {
			m.crash()
			return
		}
	}
	if !alive() {
		return
	}
	m.disk.commit(e.Persist)
	w.check.committed(m, e.Persist)
	for _, env := range e.Send {
		if !alive() {
			return
		}
		m.send(env)
	}
	for _, f := range e.Faults {
		w.check.fault(m, f)
	}
	if !alive() {
		return
	}
	for _, job := range e.Work {
		m.work(job)
	}
	for _, d := range e.Out {
		m.act(d)
	}
	w.check.settled(m)
}

func (m *member) crash() {
	w := m.w
	m.stop()
	if m.disk.fail(w) {
		m.cfg.ScanFrom = 1 // as its operator is told to do
	}
	w.after(1+w.rng.Int64N(w.knobs.Downtime), m.start)
}

// send lets a frame of the core out.
func (m *member) send(env protocols.Envelope) {
	if m.puppet != nil {
		m.puppet.fromCore(env)
		return
	}
	m.transmit(env)
}

// transmit gives a frame to the network.
func (m *member) transmit(env protocols.Envelope) {
	w := m.w
	w.trace.frame(w.now, "send", m.index, w.charter.Index(env.To), env.Protocol, env.Body)
	w.check.sent(m, env)
	if w.reached(w.charter.Index(env.To), m.index) == m { // else the other one talks to a clone of this process
		w.net.send(m.index, env)
	}
}

func (m *member) receive(from int, protocol protocols.Protocol, body []byte) {
	if m.core == nil {
		return
	}
	m.w.trace.frame(m.w.now, "recv", from, m.index, protocol, body)
	if m.puppet != nil {
		m.puppet.fromNetwork(from, protocol, body)
		return
	}
	m.hear(from, protocol, body)
}

// hear gives a frame to the core.
func (m *member) hear(from int, protocol protocols.Protocol, body []byte) {
	id := m.w.charter.Members()[from]
	m.give(func(now protocols.Time) federation.Effects { return m.core.Step(now, id, protocol, body) })
}

// look notices that a connection came or went. One that was replaced meanwhile
// may go unnoticed: then only acknowledged messaging finds out.
func (m *member) look(peer int) {
	conn := m.w.net.conn[m.index][peer]
	if m.core == nil || m.seen[peer] == conn {
		return
	}
	was := m.seen[peer]
	m.seen[peer] = conn
	id := m.w.charter.Members()[peer]
	if was != 0 && (conn == 0 || m.w.rng.IntN(2) == 0) {
		m.w.trace.add(m.w.now, "down %d-%d", m.index, peer)
		m.give(func(now protocols.Time) federation.Effects { return m.core.PeerDown(now, id) })
		if m.puppet != nil {
			m.puppet.down(peer)
		}
		was = 0
	}
	if was == 0 && conn != 0 {
		m.w.trace.add(m.w.now, "up %d-%d", m.index, peer)
		m.give(func(now protocols.Time) federation.Effects { return m.core.PeerUp(now, id) })
		if m.puppet != nil {
			m.puppet.up(peer)
		}
	}
}

// work computes beside the loop.
func (m *member) work(job protocols.Job) {
	boot := m.boot
	m.jobs++
	m.w.after(m.w.rng.Int64N(m.w.knobs.JobTime+1), func() {
		if m.boot != boot {
			return
		}
		m.jobs--
		result := job.Run()
		m.w.trace.add(m.w.now, "done %d %s", m.index, job.ID)
		m.give(func(now protocols.Time) federation.Effects { return m.core.Done(now, job.ID, result) })
	})
}

// act does what the core asks of its driver, and watches the rest.
func (m *member) act(d federation.Decision) {
	w := m.w
	switch d := d.(type) {
	case federation.Submit:
		w.check.submitted(m, d)
		tx := d.Tx.Copy()
		w.after(1+w.rng.Int64N(1_000), func() {
			err := w.chain.submit(tx)
			w.trace.add(w.now, "submit %d %s: %v", m.index, tx.TxID()[:8], err)
		})
	case federation.Rescan:
		w.trace.add(w.now, "rescan %d from %d", m.index, d.From)
		m.poll()
	case federation.KeyProgress:
		w.trace.add(w.now, "progress %d %x %s %d/%d", m.index, d.Ceremony[:4], d.Phase, d.Have, d.Need)
		w.check.progress(m, d)
	case federation.KeyFailed:
		w.trace.add(w.now, "ceremony %x failed at %d: %s %v", d.Ceremony[:4], m.index, d.Reason, w.indices(d.Culprits))
		w.check.keyFailed(m, d)
	case federation.KeyReady:
		w.trace.add(w.now, "key %d %s %s", m.index, d.Label, d.Key.String()[:8])
		w.check.keyReady(m, d)
	case federation.RequestJudged:
		if d.Member == m.cfg.Self {
			w.trace.add(w.now, "judged %d %s %v", m.index, d.Request.String()[:8], d.Verdict)
			w.check.judged(m, d)
		}
	case federation.RequestSigned:
		w.trace.add(w.now, "signed %d %s", m.index, d.Request.String()[:8])
	case federation.RequestConfirmed:
		w.trace.add(w.now, "confirmed %d %s at %d", m.index, d.Request.String()[:8], d.Height)
	case federation.TipChanged:
		w.trace.add(w.now, "tip %d %d", m.index, d.Block.Height)
	case federation.SigningFailed:
		w.trace.add(w.now, "failed %d %s: %s", m.index, d.Request.String()[:8], d.Reason)
	}
}

// poll follows the best chain, as the daemon does: from the newest block that
// both know, or from a little below the tip if the member knows none.
func (m *member) poll() {
	if m.core == nil || m.polling {
		return
	}
	m.polling = true
	m.give(func(now protocols.Time) federation.Effects {
		m.polling = false
		effects, err := m.follow(now)
		if err != nil {
			m.w.fail("chain", "member %d does not follow the chain: %v", m.index, err)
		}
		return effects
	})
}

// startDepth is the daemon's: how far below the tip a new member begins.
const startDepth = 12

func (m *member) follow(now protocols.Time) (federation.Effects, error) {
	var out federation.Effects
	c := m.w.chain
	for {
		known := m.core.Blocks()
		if len(known) == 0 {
			break
		}
		tip := known[len(known)-1]
		if int(tip.Height) <= c.height() && c.blocks[tip.Height].BlockHash() == tip.Hash {
			break
		}
		e, err := m.core.BlockDisconnected(now, tip.Height, tip.Hash)
		if err != nil {
			return out, err
		}
		out.Append(e)
	}
	next := max(0, c.height()-startDepth) + 1
	if known := m.core.Blocks(); len(known) > 0 {
		next = int(known[len(known)-1].Height) + 1
	} else if oldest, ok := m.core.OldestBirth(); ok {
		next = min(next, int(oldest)+1)
	}
	for h := next; h <= c.height(); h++ {
		e, err := m.core.BlockConnected(now, bitcoin.Height(h), c.blocks[h])
		if err != nil {
			return out, fmt.Errorf("block %d: %w", h, err)
		}
		out.Append(e)
	}
	return out, nil
}
