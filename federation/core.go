package federation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"frostfed/bitcoin"
	"frostfed/crypto/chilldkg"
	"frostfed/crypto/memberkey"
	"frostfed/evidence"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/protocols/acked"
	"frostfed/protocols/echo"
	"frostfed/protocols/frost/dkg"
	"frostfed/protocols/frost/roast"
	"frostfed/protocols/frost/sign"
	"frostfed/protocols/membership"
)

// Effects of the Core.
type Effects = protocols.Effects[Decision]

// Config of a Core. All fields are required unless they say otherwise.
type Config struct {
	Charter *membership.Charter
	Self    protocols.NodeID
	Host    *memberkey.HostKey // signs broadcasts; its secret decrypts key shares
	Policy  policy.Config      // this member's own rules
	Rand    io.Reader          // cryptographically secure
	// Gap is how many addresses this member issues beyond the last one that was
	// paid; every member watches n times as many. 0 means DefaultGap.
	Gap int
	// ScanFrom makes a member look for coins from that height on, whenever it
	// hears of a key. It is for one that lost its database and with it the
	// memory of when its keys were made; 0 otherwise.
	ScanFrom bitcoin.Height
	// SettledTo is the operator's word, after an older database was put back, that
	// nothing this member approved up to that height is still under way.
	SettledTo bitcoin.Height
	// Silence is how long key generation waits for a member before this one votes
	// to go on without it. 0 means dkg.DefaultSilence.
	Silence protocols.Time
	// MinSpare is how many members more than the threshold must share a key that
	// this member proposes. Exclusion stops there: with 0 the federation may end
	// up with a key for which nobody may be lost.
	MinSpare int
	// NoExclusion has the keys this member proposes wait for people instead.
	NoExclusion bool
	// Pool is how many nonce pairs this member keeps handed out to each
	// coordinator. 0 means the default of package sign, 64.
	Pool int
	// Addresses remembers derived addresses for several Cores of one goroutine,
	// as in a simulator. nil: each derives its own.
	Addresses *bitcoin.Cache
	// Lie makes this member a faulty one, of which the others are to be shown to
	// cope. nil for every other purpose.
	Lie *Lie
	// Version is what HELLO tells the other members.
	Version string
}

// Lie is what a faulty member does. A nil function does what is right.
type Lie struct {
	// Dealing replaces the first message in a key generation of this session.
	Dealing func(params *chilldkg.SessionParams, id chilldkg.SessionID, m1 []byte) []byte
	// Partial changes a partial signature, which this member then vouches for.
	Partial func(psig *[32]byte)
}

// DefaultGap is the usual gap limit of wallets.
const DefaultGap = 20

// ErrConfig reports a Config that cannot work.
var ErrConfig = errors.New("invalid configuration of the federation core")

// Core is the whole of a member but its shell. It is not safe for concurrent use.
type Core struct {
	cfg     Config
	id      membership.FederationID
	network bitcoin.Network
	index   int
	members []protocols.NodeID

	acked *acked.Machine
	echo  *echo.Machine
	dkg   *dkg.Machine
	sign  *sign.Machine  // Bitcoin
	roast *roast.Machine // outside Bitcoin

	ledger   ledger
	keys     keyring
	requests requestBook
	peers    map[protocols.NodeID]*peerState
	proofs   proofBook
	own      promiseLog

	unsent     []dkg.Broadcast // waiting for room among this member's broadcasts
	chainReady bool            // the backend says it is in sync
	told       BlockID         // tip of the last HELLO to all
	helloAt    protocols.Time  // when the next HELLO to all may go out
}

// New starts a member that has no records yet.
func New(now protocols.Time, cfg Config) (*Core, Effects, error) { return Restore(now, cfg, nil) }

// Restore starts a member from its records, in order of their keys. The effects
// say again what may not have been heard.
func Restore(now protocols.Time, cfg Config, records []protocols.Record) (*Core, Effects, error) {
	c, err := newCore(cfg)
	if err != nil {
		return nil, Effects{}, err
	}
	parts := make(map[string][]protocols.Record)
	for _, r := range records {
		prefix, key, ok := strings.Cut(r.Key, "/")
		if !ok {
			return nil, Effects{}, fmt.Errorf("record %q has no owner", r.Key)
		}
		parts[prefix] = append(parts[prefix], protocols.Record{Key: key, Value: r.Value})
	}
	if err := c.restoreOwn(parts[ownPrefix]); err != nil {
		return nil, Effects{}, fmt.Errorf("restore federation state: %w", err)
	}
	var out Effects
	if err := c.startMachines(now, &out, parts); err != nil {
		return nil, Effects{}, err
	}
	return c, out, nil
}

func newCore(cfg Config) (*Core, error) {
	if cfg.Charter == nil || cfg.Host == nil || cfg.Rand == nil {
		return nil, fmt.Errorf("%w: charter, host key and randomness are required", ErrConfig)
	}
	network, err := bitcoin.ParseNetwork(cfg.Charter.Network)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	index := cfg.Charter.Index(cfg.Self)
	if index < 0 {
		return nil, fmt.Errorf("%w: this member is not in the charter", ErrConfig)
	}
	if cfg.Charter.Cards[index].Host != cfg.Host.Public() {
		return nil, fmt.Errorf("%w: the charter names another host key for this member", ErrConfig)
	}
	if cfg.Gap == 0 {
		cfg.Gap = DefaultGap
	}
	c := &Core{
		cfg: cfg, id: cfg.Charter.ID(), network: network, index: index, members: cfg.Charter.Members(),
		ledger: newLedger(), keys: newKeyring(), requests: newRequestBook(), proofs: make(proofBook),
		peers: make(map[protocols.NodeID]*peerState), own: promiseLog{heard: make(map[protocols.NodeID]struct{})},
	}
	for _, id := range c.members {
		if id != cfg.Self {
			c.peers[id] = new(peerState)
		}
	}
	return c, nil
}

// Prefixes of the records of each part.
const (
	echoPrefix  = "e"
	dkgPrefix   = "d"
	signPrefix  = "s"
	roastPrefix = "m"
	ownPrefix   = "f"
)

func (c *Core) startMachines(now protocols.Time, out *Effects, records map[string][]protocols.Record) error {
	var random [8 + 3*16]byte
	if _, err := io.ReadFull(c.cfg.Rand, random[:]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	// acked refuses boot 0; the chance is 2^-63.
	boot := binary.BigEndian.Uint64(random[:8]) | 1
	c.own.boot = [16]byte(random[24:40])
	var err error
	var others []protocols.NodeID
	for _, id := range c.members {
		if id != c.cfg.Self {
			others = append(others, id)
		}
	}
	if c.acked, err = acked.New(acked.Config{Self: c.cfg.Self, Peers: others, Boot: boot}); err != nil {
		return err
	}
	echoMachine, echoEffects, err := echo.Restore(c.echoConfig(), records[echoPrefix])
	if err != nil {
		return fmt.Errorf("restore broadcast: %w", err)
	}
	signMachine, signEffects, err := sign.Restore(c.signConfig([16]byte(random[8:24])), records[signPrefix])
	if err != nil {
		return fmt.Errorf("restore signing: %w", err)
	}
	roastMachine, roastEffects, err := roast.Restore(c.roastConfig([16]byte(random[40:])), records[roastPrefix])
	if err != nil {
		return fmt.Errorf("restore signing of messages: %w", err)
	}
	dkgMachine, dkgEffects, err := dkg.Restore(c.dkgConfig(), records[dkgPrefix])
	if err != nil {
		return fmt.Errorf("restore key generation: %w", err)
	}
	c.echo, c.sign, c.dkg, c.roast = echoMachine, signMachine, dkgMachine, roastMachine
	c.resumeDistrust()
	c.resumeRefusals(now, out)
	c.fromSign(now, out, signEffects)
	c.fromRoast(now, out, roastEffects)
	c.fromDKG(now, out, dkgEffects)
	c.fromEcho(now, out, echoEffects)
	return nil
}

// ID returns the federation ID.
func (c *Core) ID() membership.FederationID { return c.id }

// Step takes a frame that p2p received from a peer on a protocol.
func (c *Core) Step(now protocols.Time, from protocols.NodeID, protocol protocols.Protocol, frame []byte) Effects {
	var out Effects
	if p := c.peers[from]; p != nil {
		p.lastSeen = now
	}
	c.fromAcked(now, &out, c.acked.Step(now, from, protocol, frame))
	return out
}

// Tick does what is due and lets queued messages out. The driver calls it after
// each batch of inputs, and when Deadline has come.
func (c *Core) Tick(now protocols.Time) Effects {
	var out Effects
	c.tellTip(now)
	c.fromEcho(now, &out, c.echo.Tick(now))
	c.fromDKG(now, &out, c.dkg.Tick(now))
	c.fromSign(now, &out, c.sign.Tick(now))
	c.fromRoast(now, &out, c.roast.Tick(now))
	c.fromAcked(now, &out, c.acked.Tick(now)) // last: it transmits what the others queued
	return out
}

// Deadline is when Tick has something to do.
func (c *Core) Deadline() protocols.Time {
	next := min(c.acked.Deadline(), c.echo.Deadline(), c.dkg.Deadline(), c.sign.Deadline(), c.roast.Deadline())
	if tip, _ := c.ledger.tip(); tip != c.told {
		next = min(next, c.helloAt)
	}
	return next
}

// Done takes the result of a Job.
func (c *Core) Done(now protocols.Time, job string, result any) Effects {
	var out Effects
	switch prefix, id, _ := strings.Cut(job, "/"); prefix {
	case dkgPrefix:
		c.fromDKG(now, &out, c.dkg.Done(now, id, result))
	case signPrefix:
		c.fromSign(now, &out, c.sign.Done(now, id, result))
	case roastPrefix:
		c.fromRoast(now, &out, c.roast.Done(now, id, result))
	}
	return out
}

// PeerUp says that frames now reach a member.
func (c *Core) PeerUp(now protocols.Time, id protocols.NodeID) Effects {
	var out Effects
	if p := c.peers[id]; p != nil && !p.connected {
		p.connected, p.lastSeen = true, now
		c.acked.PeerUp(now, id)
		c.fromSign(now, &out, c.sign.PeerUp(now, id))
		c.introduce(now, id)
		out.Out = append(out.Out, PeerChanged{Peer: id, Connected: true})
	}
	return out
}

// PeerDown says that the connection to a member is gone.
func (c *Core) PeerDown(now protocols.Time, id protocols.NodeID) Effects {
	var out Effects
	if p := c.peers[id]; p != nil && p.connected {
		p.connected = false
		c.acked.PeerDown(now, id)
		c.fromSign(now, &out, c.sign.PeerDown(now, id))
		out.Out = append(out.Out, PeerChanged{Peer: id})
	}
	return out
}

func (c *Core) echoConfig() echo.Config {
	return echo.Config{
		Federation: c.id, Self: c.cfg.Self, Members: c.members,
		Sign: c.signAsHost, Verify: c.verifyHost, Admit: c.admit,
	}
}

// signAsHost signs with this member's host key what other members, and strangers,
// may hold it to.
func (c *Core) signAsHost(preimage []byte) ([]byte, error) {
	var aux [32]byte
	if _, err := io.ReadFull(c.cfg.Rand, aux[:]); err != nil {
		return nil, err
	}
	sig, err := c.cfg.Host.Sign(preimage, aux)
	return sig[:], err
}

func (c *Core) verifyHost(member protocols.NodeID, preimage, sig []byte) bool {
	i := c.cfg.Charter.Index(member)
	return i >= 0 && memberkey.Verify(c.cfg.Charter.Cards[i].Host[:], preimage, sig)
}

func (c *Core) dkgConfig() dkg.Config {
	cfg := dkg.Config{Self: c.cfg.Self, Members: evidence.KeyMembers(c.cfg.Charter), HostSecret: c.cfg.Host.Secret,
		Rand: c.cfg.Rand, Silence: c.cfg.Silence, Notary: evidence.Notary(c.cfg.Charter)}
	if c.cfg.Lie != nil {
		cfg.Lie = c.cfg.Lie.Dealing
	}
	return cfg
}

func (c *Core) signConfig(epoch [16]byte) sign.Config {
	cfg := sign.Config{Self: c.cfg.Self, Members: c.members, Federation: c.id, Rand: c.cfg.Rand, Epoch: epoch, Pool: c.cfg.Pool,
		Sign: c.signAsHost, Verify: c.verifyHost}
	if c.cfg.Lie != nil {
		cfg.Lie = c.cfg.Lie.Partial
	}
	return cfg
}
