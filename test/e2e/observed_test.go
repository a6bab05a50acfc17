package e2e

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	fed "frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/daemon"
	"frostfed/internal/node"
	"frostfed/p2p"
	"frostfed/protocols"
	"frostfed/protocols/membership"
	"frostfed/test/wiretap"
)

// observed is a federation of four over real sockets. One member, the subject, is
// a process like any other; the test runs the other three itself, so that it hears
// every frame to and from the subject, whatever becomes of that.
type observed struct {
	*testing.T
	node      *btcd
	dir       string
	subject   *member
	id        protocols.NodeID // of the subject
	observers []*observer
	tap       *wiretap.Tap
	address   string
	blocks    []string // mined since the key was funded

	mu   sync.Mutex
	hook func(w way, p protocols.Protocol, kinds []byte) (pass bool)
}

// way is the direction of a frame.
type way string

const (
	toSubject   way = "to the subject"
	fromSubject way = "from the subject"
	eitherWay   way = "to or from the subject"
)

// observer is a member run by the test.
type observer struct {
	*node.Node
	member *member
	done   chan struct{}
}

func newObserved(t *testing.T) *observed {
	if testing.Short() {
		t.Skip("starts daemons and a Bitcoin node; left out by -short")
	}
	t.Parallel() // most of the time goes into waiting for heartbeats
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	o := &observed{T: t, dir: dir, node: newBtcd(t, filepath.Join(dir, "btcd")), tap: wiretap.New()}
	var members []*member
	var cards []string
	for _, name := range []string{"anna", "bert", "cleo", "subject"} {
		m := &member{t: t, name: name, dir: filepath.Join(dir, name), phrase: filepath.Join(dir, name+".pass"), listen: freeAddress(t)}
		members, cards = append(members, m), append(cards, m.init(o.node))
	}
	o.subject = members[3]
	file := filepath.Join(dir, "federation.toml")
	var charter struct{ T, N int }
	o.subject.ok(&charter, append([]string{"charter", "new", "--name", "pool", "-o", file}, cards...)...)
	if charter.T != 3 || charter.N != 4 {
		t.Fatalf("charter: %+v", charter)
	}
	for _, m := range members {
		m.ok(&struct{}{}, "charter", "adopt", file)
	}
	o.id = identity(t, o.subject)
	for _, m := range members[:3] {
		o.observers = append(o.observers, &observer{member: m})
	}
	for i := range o.observers {
		o.observe(i)
	}
	o.subject.start()
	return o
}

func identity(t *testing.T, m *member) protocols.NodeID {
	t.Helper()
	phrase, err := os.ReadFile(m.phrase)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := node.Dir(m.dir).OpenKeys(phrase[:len(phrase)-1])
	if err != nil {
		t.Fatal(err)
	}
	return membership.NodeIDOf([32]byte(keys.Identity.Public().(ed25519.PublicKey)))
}

// observe runs an observer.
func (o *observed) observe(i int) {
	o.Helper()
	m := o.observers[i].member
	dir := node.Dir(m.dir)
	phrase, err := os.ReadFile(m.phrase)
	if err != nil {
		o.Fatal(err)
	}
	keys, err := dir.OpenKeys(phrase[:len(phrase)-1])
	if err != nil {
		o.Fatal(err)
	}
	cfg, err := node.LoadConfig(m.dir)
	if err != nil {
		o.Fatal(err)
	}
	charter, err := dir.Charter()
	if err != nil {
		o.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		o.Fatal(err)
	}
	x := &observer{member: m, done: make(chan struct{})}
	x.Node, err = node.Start(context.Background(), node.Options{Dir: dir, Config: cfg, Charter: charter, Keys: keys, Version: "test",
		Log: slog.New(slog.NewJSONHandler(log, nil)), Network: func(h *p2p.Host) daemon.Network {
			l := &line{o: o, host: h, self: protocols.NodeID(h.ID()), events: make(chan p2p.Event), done: x.done}
			go l.pump()
			return l
		}})
	if err != nil {
		o.Fatal(err)
	}
	o.observers[i] = x
	o.Cleanup(func() { o.rest(x); log.Close() })
}

// rest stops an observer, if it runs.
func (o *observed) rest(x *observer) {
	o.Helper()
	if x.Node == nil {
		return
	}
	close(x.done)
	if err := x.Node.Close(); err != nil {
		o.Errorf("%s: %v", x.member.name, err)
	}
	x.Node = nil
}

// line is the network of an observer, with the test listening.
type line struct {
	o      *observed
	host   *p2p.Host
	self   protocols.NodeID
	events chan p2p.Event
	done   chan struct{}
}

func (l *line) Events() <-chan p2p.Event { return l.events }

func (l *line) Send(to protocols.NodeID, p protocols.Protocol, body []byte) bool {
	return l.o.hear(l.self, to, p, body) && l.host.Send(to, p, body)
}

func (l *line) pump() {
	for ev := range l.host.Events() {
		if f, ok := ev.(p2p.Frame); ok && !l.o.hear(f.From, l.self, f.Protocol, f.Body) {
			continue // acknowledged messaging sends it again
		}
		select {
		case l.events <- ev:
		case <-l.done:
		}
	}
}

// hear notes a frame and asks the hook whether it may pass.
func (o *observed) hear(from, to protocols.NodeID, p protocols.Protocol, body []byte) bool {
	o.tap.Frame(from, to, p, body)
	if from != o.id && to != o.id {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	w := fromSubject
	if to == o.id {
		w = toSubject
	}
	return o.hook == nil || o.hook(w, p, wiretap.Kinds(body))
}

func (o *observed) setHook(f func(w way, p protocols.Protocol, kinds []byte) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hook = f
}

// killWhen arms SIGKILL for the moment in which a message of a kind (0: any) is
// about to be given to the subject, or has just come from it. The channel is closed
// when the subject is dead.
func (o *observed) killWhen(on way, p protocols.Protocol, kind byte) <-chan struct{} {
	return o.killAfter(on, p, kind, 0)
}

// killAfter is killWhen, after so many of them. An empty protocol is any.
func (o *observed) killAfter(on way, p protocols.Protocol, kind byte, frames int) <-chan struct{} {
	dead := make(chan struct{})
	victim := o.subject.process
	o.setHook(func(w way, q protocols.Protocol, kinds []byte) bool {
		if on != eitherWay && w != on || p != "" && q != p || len(kinds) == 0 || kind != 0 && !slices.Contains(kinds, kind) {
			return true
		}
		if frames--; frames >= 0 {
			return true
		}
		o.hook = nil
		victim.kill(o.T)
		close(dead)
		return true
	})
	return dead
}

// view asks an observer.
func view[T any](o *observed, x *observer, read func(*fed.Core) T) (out T) {
	o.Helper()
	err := x.Daemon.View(context.Background(), func(_ protocols.Time, core *fed.Core) { out = read(core) })
	if err != nil {
		o.Fatalf("%s: %v", x.member.name, err)
	}
	return out
}

func (o *observed) running() (out []*observer) {
	for _, x := range o.observers {
		if x.Node != nil {
			out = append(out, x)
		}
	}
	return out
}

// connected waits until the subject has heard all observers that run, and is ready
// to sign but for what is named.
func (o *observed) connected(but ...string) {
	o.Helper()
	o.subject.await("it is connected", func(s *v1.GetStatusResponse) bool {
		for _, u := range s.Unready {
			if !slices.Contains(but, u.Check) {
				return false
			}
		}
		return int(s.Connected) == len(o.running())+1
	})
	for _, x := range o.running() {
		eventually(o.T, x.member.name+" is connected", func(context.Context) error {
			if s := view(o, x, (*fed.Core).Status); s.Connected != len(o.running())+1 || !s.Heard {
				return fmt.Errorf("%d members, heard %v", s.Connected, s.Heard)
			}
			return nil
		})
	}
}

// key makes the key and gives it matured coins.
func (o *observed) key() {
	o.Helper()
	for _, x := range o.observers {
		eventually(o.T, "the key is complete", func(context.Context) error {
			if keys := view(o, x, (*fed.Core).Keys); len(keys) != 1 || keys[0].Phase != "complete" {
				return fmt.Errorf("keys %+v", keys)
			}
			return nil
		})
	}
	var address v1.NewAddressResponse
	o.subject.ok(&address, "address", "new", label)
	o.address = address.Address
	o.node.start(o.T, o.address)
	o.mine(3)
	o.mine(100)
	o.connected()
}

// mine adds blocks and waits until all that run have seen them.
func (o *observed) mine(n int) {
	o.Helper()
	hashes := o.node.mine(o.T, n)
	o.blocks = append(o.blocks, hashes...)
	tip := hashes[len(hashes)-1]
	for _, x := range o.running() {
		eventually(o.T, x.member.name+" sees the tip", func(context.Context) error {
			if s := view(o, x, (*fed.Core).Status); s.Tip.Hash.String() != tip {
				return fmt.Errorf("tip %d", s.Tip.Height)
			}
			return nil
		})
	}
	if o.subject.process != nil {
		o.subject.await("it sees the tip", func(s *v1.GetStatusResponse) bool { return s.Tip.GetHash() == tip })
	}
}

// listOf is the payout list of a week, as a file of the subject and for observers.
func (o *observed) listOf(week int) (file string, list bitcoin.PayoutList) {
	o.Helper()
	rows := []string{fmt.Sprintf("reference,week %d", week), "address,sats,label"}
	for _, p := range payees(week) {
		address, err := bitcoin.EncodeAddress(bitcoin.Regtest, p.Script)
		if err != nil {
			o.Fatal(err)
		}
		rows = append(rows, fmt.Sprintf("%s,%d,%s", address, p.Amount, p.Label))
	}
	list, err := bitcoin.NewPayoutList(bitcoin.Regtest, fmt.Sprintf("week %d", week), payees(week))
	if err != nil {
		o.Fatal(err)
	}
	return o.subject.file(fmt.Sprintf("week-%d.csv", week), strings.Join(rows, "\n")+"\n"), list
}

func (o *observed) addList(x *observer, list bitcoin.PayoutList) {
	o.Helper()
	err := x.Daemon.Do(context.Background(), func(now protocols.Time, core *fed.Core) (fed.Effects, error) {
		return core.AddPayoutList(now, list), nil
	})
	if err != nil {
		o.Fatal(err)
	}
}

// addLists gives the list of a week to all that run.
func (o *observed) addLists(week int) (file string) {
	o.Helper()
	file, list := o.listOf(week)
	for _, x := range o.running() {
		o.addList(x, list)
	}
	if o.subject.process != nil {
		o.subject.ok(&v1.AddPayoutListResponse{}, "payouts", "add", file)
	}
	return file
}

// pay has an observer propose to pay the list of a week.
func (o *observed) pay(x *observer, week int) (id string) {
	o.Helper()
	_, list := o.listOf(week)
	err := x.Daemon.Do(context.Background(), func(now protocols.Time, core *fed.Core) (fed.Effects, error) {
		request, e, err := core.Pay(now, fed.PayoutRequest{Key: label, List: list.ID(), FeeRate: bitcoin.PerVByte(2)})
		id = request.String()
		return e, err
	})
	if err != nil {
		o.Fatalf("pay week %d: %v", week, err)
	}
	return id
}

// signed waits until all observers that run hold the signed transaction.
func (o *observed) signed(id string) {
	o.Helper()
	o.signedAt(id, o.running()...)
}

func (o *observed) signedAt(id string, observers ...*observer) {
	o.Helper()
	for _, x := range observers {
		eventually(o.T, x.member.name+" has the signatures", func(context.Context) error {
			var err error
			r := view(o, x, func(core *fed.Core) (v fed.RequestView) { v, err = core.Request(id); return v })
			if err == nil && r.Tx == nil {
				err = fmt.Errorf("the request is %s; %v", r.State, r.Verdicts)
			}
			return err
		})
	}
}

// settle waits until a payout is signed, and confirms it.
func (o *observed) settle(id string) {
	o.Helper()
	o.signed(id)
	txid := view(o, o.running()[0], func(core *fed.Core) string { v, _ := core.Request(id); return v.TxID.String() })
	eventually(o.T, "btcd has the payout", func(ctx context.Context) error { return o.node.inMempool(ctx, txid) })
	o.mine(1)
	o.subject.awaitRequest(id, "confirmed", func(r *v1.Request) bool { return r.State == v1.RequestState_REQUEST_STATE_CONFIRMED })
}

// paidOnce looks through all blocks for the payments of a week.
func (o *observed) paidOnce(weeks ...int) {
	o.Helper()
	var blocks []*wire.MsgBlock
	for _, hash := range o.blocks {
		blocks = append(blocks, o.node.block(o.T, hash))
	}
	for _, week := range weeks {
		times := 0
		for _, b := range blocks {
			for _, tx := range b.Transactions {
				if pays(tx, payees(week)[0]) {
					times++
				}
			}
		}
		if times != 1 {
			o.Errorf("week %d is paid %d times", week, times)
		}
	}
	if err := o.tap.Err(); err != nil {
		o.Error(err)
	}
	if o.tap.Answers(o.id) == 0 {
		o.Error("no partial signature of the subject was heard")
	}
}

// awaitRequest waits until a request is as wanted at the member.
func (m *member) awaitRequest(id, what string, holds func(*v1.Request) bool) {
	m.t.Helper()
	eventually(m.t, m.name+": "+what, func(ctx context.Context) error {
		var list v1.ListRequestsResponse
		if err := m.try(ctx, &list, "requests"); err != nil {
			return err
		}
		for _, r := range list.Requests {
			if r.Id == id && holds(r) {
				return nil
			}
		}
		return fmt.Errorf("requests are %v", &list)
	})
}

// copyFolder copies a data folder as an operator would, without the socket.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSocket != 0 {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
}
