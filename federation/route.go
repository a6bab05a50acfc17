package federation

import (
	"fmt"

	"frostfed/protocols"
	"frostfed/protocols/acked"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/sign"
)

// absorb merges a machine's effects: its records get its prefix, its messages go
// through acknowledged messaging. Decisions are left to the caller.
func absorb[O any](c *Core, now protocols.Time, out *Effects, prefix string, e protocols.Effects[O]) {
	for _, r := range e.Persist {
		out.Persist = append(out.Persist, protocols.Record{Key: prefix + "/" + r.Key, Value: r.Value})
	}
	for _, env := range e.Send {
		c.send(now, env.To, env.Protocol, env.Body)
	}
	for _, job := range e.Work {
		out.Work = append(out.Work, protocols.Job{ID: prefix + "/" + job.ID, Run: job.Run})
	}
	out.Faults = append(out.Faults, e.Faults...)
	for _, f := range e.Faults {
		if f.Proof != nil {
			c.noteProof(now, out, prefix, f)
		}
	}
}

// Distrust says that evidence from before proves that a member lied: it is asked
// last to sign. What is proved in this process the Core sees itself.
func (c *Core) Distrust(member protocols.NodeID) { c.sign.Distrust(member) }

// send queues a message; it leaves with the next Tick.
func (c *Core) send(now protocols.Time, to protocols.NodeID, protocol protocols.Protocol, body []byte) {
	if err := c.acked.Send(now, to, protocol, body); err != nil {
		// The machines speak to members only and within the size limits: anything
		// else is a bug, which the tests of each machine would show.
		panic(fmt.Sprintf("federation: %s message of %d bytes: %v", protocol, len(body), err))
	}
}

// sendAll queues a message for every other member.
func (c *Core) sendAll(now protocols.Time, protocol protocols.Protocol, body []byte) {
	for _, id := range c.members {
		if id != c.cfg.Self {
			c.send(now, id, protocol, body)
		}
	}
}

func (c *Core) fromAcked(now protocols.Time, out *Effects, e acked.Effects) {
	// Frames of acked are ready for the network: they do not pass send again.
	out.Send = append(out.Send, e.Send...)
	out.Faults = append(out.Faults, e.Faults...)
	for _, event := range e.Out {
		switch event := event.(type) {
		case acked.Received:
			c.receive(now, out, event)
		case acked.Resumed:
			c.resync(now, out, event.Peer)
		case acked.Stalled:
			c.peers[event.Peer].stalled = true
			out.Out = append(out.Out, PeerStalled{Peer: event.Peer, Stalled: true})
		case acked.Recovered:
			c.peers[event.Peer].stalled = false
			out.Out = append(out.Out, PeerStalled{Peer: event.Peer})
		}
	}
}

func (c *Core) receive(now protocols.Time, out *Effects, msg acked.Received) {
	switch msg.Protocol {
	case protocols.Echo:
		c.fromEcho(now, out, c.echo.Step(now, msg.From, msg.Body))
	case protocols.DKG:
		c.fromDKG(now, out, c.dkg.Step(now, msg.From, msg.Body))
	case protocols.Sign:
		c.fromSign(now, out, c.sign.Step(now, msg.From, msg.Body))
	case protocols.Roast:
		c.fromRoast(now, out, c.roast.Step(now, msg.From, msg.Body))
	case protocols.Federation:
		c.fromPeer(now, out, msg.From, msg.Body)
	}
}

// resync says again to a member that lost messages what still matters.
func (c *Core) resync(now protocols.Time, out *Effects, peer protocols.NodeID) {
	c.introduce(now, peer)
	c.fromEcho(now, out, c.echo.Resync(now, peer))
	c.fromDKG(now, out, c.dkg.Resync(now, peer))
	c.fromSign(now, out, c.sign.Resync(now, peer))
	c.fromRoast(now, out, c.roast.Resync(now, peer))
	c.resendVerdicts(now, peer)
	c.tellProofs(now, peer)
	for _, k := range c.keys.sorted() {
		c.tellVerified(now, peer, k)
	}
}

func (c *Core) fromEcho(now protocols.Time, out *Effects, e protocols.Effects[echo.Delivered]) {
	absorb(c, now, out, echoPrefix, e)
	for _, d := range e.Out {
		c.delivered(now, out, d)
	}
}

func (c *Core) fromDKG(now protocols.Time, out *Effects, e protocols.Effects[dkg.Event]) {
	absorb(c, now, out, dkgPrefix, e)
	for _, event := range e.Out {
		switch event := event.(type) {
		case dkg.Broadcast:
			c.broadcastFirst(now, out, event)
		case dkg.KeyActive:
			c.keyActive(now, out, event)
		case dkg.SuiteKeyActive:
			c.suiteKeyActive(now, out, event)
		default:
			c.keyProgress(now, out, event)
		}
	}
}

func (c *Core) fromSign(now protocols.Time, out *Effects, e protocols.Effects[sign.Event]) {
	absorb(c, now, out, signPrefix, e)
	for _, event := range e.Out {
		switch event := event.(type) {
		case sign.Signed:
			sigs := make([][]byte, len(event.Signatures))
			for i := range sigs {
				sigs[i] = event.Signatures[i][:]
			}
			c.signed(now, out, event.Request, sigs)
		case sign.Progress:
			if k := c.keys.verifications[event.Request]; k != nil {
				out.Out = append(out.Out, KeyProgress{Ceremony: k.ceremony, Phase: PhaseVerifying,
					Have: event.Have, Need: event.Need, Waiting: event.Waiting})
				continue
			}
			out.Out = append(out.Out, SigningProgress{Request: event.Request, Session: event.Session,
				Have: event.Have, Need: event.Need, Waiting: event.Waiting})
		case sign.Wanted:
			if k := c.keys.verifications[event.Request]; k != nil {
				c.tellVerified(now, event.Peer, k)
			}
		case sign.PoolLow:
			out.Out = append(out.Out, NoncesLow{Peer: event.Member, Available: event.Available, Low: event.Low})
		case sign.Failed:
			c.signingFailed(now, out, event)
		case sign.KeyRejected:
			panic(fmt.Sprintf("federation: key generation and signing disagree about a key: %v", event.Err))
		}
	}
}

// broadcast begins reliable broadcast of an operator's command.
func (c *Core) broadcast(now protocols.Time, out *Effects, topic string, payload []byte) error {
	e, err := c.echo.Broadcast(now, topic, payload)
	c.fromEcho(now, out, e)
	return err
}

// broadcastFirst broadcasts a first message of key generation. Only more live
// broadcasts than this member should have can stand in the way; then it waits
// until blocks let some be forgotten. There is at most one for each key.
func (c *Core) broadcastFirst(now protocols.Time, out *Effects, m dkg.Broadcast) {
	if err := c.broadcast(now, out, m.Topic, m.Payload); err != nil {
		c.unsent = append(c.unsent, m)
	}
}

func (c *Core) retryBroadcasts(now protocols.Time, out *Effects) {
	unsent := c.unsent
	c.unsent = nil
	for _, m := range unsent {
		c.broadcastFirst(now, out, m)
	}
}

// delivered routes a payload that every honest member gets alike.
func (c *Core) delivered(now protocols.Time, out *Effects, d echo.Delivered) {
	kind, id := splitTopic(d.Topic)
	switch kind {
	case topicKey:
		c.ceremonyProposed(now, out, d.Sender, id, d.Payload)
	case topicRequest:
		c.requestProposed(now, out, d.Sender, id, d.Payload)
	case topicDKG:
		c.fromDKG(now, out, c.dkg.Delivered(now, d.Sender, d.Topic, d.Payload, d.Signature))
	}
}
