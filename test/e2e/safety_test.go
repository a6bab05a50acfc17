package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	fed "frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/policy"
	"frostfed/protocols"
	"frostfed/test/wiretap"
)

// TestM4KillMinus9 kills the subject at chosen moments of a key generation and of
// payouts that need its signature. Each ends when the subject is back, every payout
// is made once, and no pair of nonces signs twice.
func TestM4KillMinus9(t *testing.T) {
	o := newObserved(t)
	o.connected("key", "chain", "tip")
	dead := o.killWhen(fromSubject, protocols.DKG, 0)
	o.subject.run(t.Context(), "key", "new", label)
	o.awaitKill("key generation", dead)
	o.subject.start()
	o.key()
	o.rest(o.observers[2]) // from now on the subject is needed

	moments := []struct {
		what     string
		way      way
		protocol protocols.Protocol
		kind     byte
	}{
		{"the request reaches it", toSubject, protocols.Echo, 0},
		{"it votes for the request", fromSubject, protocols.Echo, 0},
		{"it tells its verdict", fromSubject, protocols.Federation, 2},
		// Who coordinates is drawn from the request.
		{"it is asked to sign, or asks", eitherWay, protocols.Sign, wiretap.Sign},
		{"it answers with partial signatures, or is answered", eitherWay, protocols.Sign, wiretap.PSig},
		{"it is told the signatures, or tells them", eitherWay, protocols.Sign, wiretap.Done},
	}
	week := 0
	for _, m := range moments {
		week++
		o.addLists(week)
		t.Logf("to be killed as %s", m.what)
		dead := o.killWhen(m.way, m.protocol, m.kind)
		id := o.pay(o.observers[week%2], week)
		o.awaitKill(m.what, dead)
		o.subject.start()
		o.settle(id)
	}

	for range *kills {
		week++
		o.killSomewhere(week)
	}

	// Its pairs died with it, but a coordinator may not know yet: the news, which
	// are the new pairs, are held back until the old ones were refused.
	week++
	o.addLists(week)
	o.connected()
	o.subject.kill()
	before := o.tap.Stale(o.id)
	o.setHook(func(w way, p protocols.Protocol, kinds []byte) bool {
		return w == toSubject || p != protocols.Sign || o.tap.Stale(o.id) > before || !bytes.Contains(kinds, []byte{wiretap.Nonces})
	})
	o.subject.start()
	id := o.pay(o.observers[0], week)
	o.signed(id)
	if o.tap.Stale(o.id) == before {
		t.Error("no handle of the dead process was refused")
	}
	o.settle(id)

	var weeks []int
	for w := 1; w <= week; w++ {
		weeks = append(weeks, w)
	}
	o.paidOnce(weeks...)
	if got := o.tap.Epochs(o.id); got < len(moments)+2 {
		t.Errorf("%d processes handed out nonces", got)
	}
}

var kills = flag.Int("kills", 2, "how often TestM4KillMinus9 kills at a random frame")

// killSomewhere lets the subject propose to pay a week's list, kills it at a random
// frame, if so many come, and has its operator repeat what was not answered.
func (o *observed) killSomewhere(week int) {
	o.Helper()
	o.connected()
	file := o.addLists(week)
	_, list := o.listOf(week)
	frames := rand.IntN(60)
	o.Logf("to be killed at frame %d of its own payout", frames)
	dead := o.killAfter(eitherWay, "", 0, frames)
	answered := o.subject.run(o.Context(), "pay", file, "--key", label).code == exitOK
	var id string
	// The operator may have proposed twice: then two transactions are signed that
	// exclude each other, and btcd has one of them.
	sent := func(ctx context.Context) error {
		select {
		case <-dead:
			return nil
		default:
		}
		for _, r := range view(o, o.observers[0], (*fed.Core).Requests) {
			if r.List == list.ID() && r.Tx != nil && o.node.inMempool(ctx, r.TxID.String()) == nil {
				id = r.ID.String()
				return nil
			}
		}
		return errors.New("no such payout waits for a block")
	}
	eventually(o.T, "the payout is sent, or the subject dead", sent)
	o.setHook(nil)
	select {
	case <-dead:
		o.subject.process = nil
		o.subject.start()
		o.connected()
		if !answered {
			o.subject.run(o.Context(), "pay", file, "--key", label) // refused, if the first one got through
		}
		dead = nil
		eventually(o.T, "the payout is sent", sent)
	default:
	}
	o.mine(1)
	o.subject.awaitRequest(id, "confirmed", func(r *v1.Request) bool { return r.State == v1.RequestState_REQUEST_STATE_CONFIRMED })
}

// awaitKill waits for the moment that was armed.
func (o *observed) awaitKill(what string, dead <-chan struct{}) {
	o.Helper()
	select {
	case <-dead:
		o.subject.process = nil
	case <-time.After(patience):
		o.Fatalf("it never comes to this: %s", what)
	}
}

// TestM5OlderDataFolder puts back a copy of the subject's folder from before it
// approved a payout that has not confirmed yet. The subject says so, loudly, and
// approves nothing that spends; the others go on; it catches up, and signs again
// once its operator vouches that all is settled.
func TestM5OlderDataFolder(t *testing.T) {
	o := newObserved(t)
	o.connected("key", "chain", "tip")
	o.subject.ok(&v1.Key{}, "key", "new", label)
	o.key()
	o.rest(o.observers[2])
	o.addLists(1)
	o.settle(o.pay(o.observers[0], 1))

	if code := o.subject.process.terminate(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	older := filepath.Join(o.dir, "older")
	copyFolder(t, o.subject.dir, older)
	o.subject.start()
	o.connected()
	o.addLists(2)
	forgotten := o.pay(o.observers[1], 2)
	o.signed(forgotten)

	o.subject.kill()
	state := filepath.Join(o.subject.dir, "state")
	if err := errors.Join(os.RemoveAll(state), os.Rename(filepath.Join(older, "state"), state)); err != nil {
		t.Fatal(err)
	}
	o.subject.start()
	o.connected("restored")
	var status v1.GetStatusResponse
	o.subject.ok(&status, "status")
	if len(status.Unready) != 1 || status.Unready[0].Check != "restored" {
		t.Fatalf("status: %v", &status)
	}
	log, err := os.ReadFile(o.subject.process.log)
	if err != nil || !bytes.Contains(log, []byte("the database of this member is older than its promises")) {
		t.Errorf("the log says nothing of it (%v):\n%s", err, tail(o.subject.process.log, 15))
	}
	refuses := func(r *v1.Request) bool {
		for _, v := range r.Verdicts {
			if v.Member.GetName() == "subject" {
				return v.Verdict.Rule == string(fed.RestoredRule)
			}
		}
		return false
	}
	file := o.addLists(2)
	o.subject.awaitRequest(forgotten, "it does not promise the forgotten payout again", refuses)

	o.observe(2) // now the others can sign without the subject
	o.connected("restored")
	o.addLists(2)
	o.addLists(3)
	next := o.pay(o.observers[0], 3)
	o.subject.awaitRequest(next, "it holds back", refuses)
	o.signed(next)
	o.settle(next)
	o.subject.awaitRequest(forgotten, "it catches up", func(r *v1.Request) bool { return r.State == v1.RequestState_REQUEST_STATE_CONFIRMED })

	if said := o.subject.fails(exitRefused, "pay", file, "--key", label); !strings.Contains(said, string(policy.PayoutPaid)) {
		t.Errorf("a list that is paid already: %s", said)
	}
	if code := o.subject.process.terminate(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	o.settledTo(len(o.blocks))
	o.subject.start()
	o.connected()
	o.rest(o.observers[2])
	o.addLists(4)
	o.settle(o.pay(o.observers[1], 4))
	o.paidOnce(1, 2, 3, 4)
}

// settledTo writes the operator's word into the configuration.
func (o *observed) settledTo(height int) {
	o.Helper()
	path := filepath.Join(o.subject.dir, "config.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		o.Fatal(err)
	}
	changed := bytes.Replace(text, []byte("settled_to = 0"), []byte("settled_to = "+strconv.Itoa(height)), 1)
	if bytes.Equal(changed, text) {
		o.Fatal("the configuration has no settled_to")
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		o.Fatal(err)
	}
}

// TestM6ClonedDataFolder runs two processes on two copies of one folder. A process
// that is started again, however often and fast, is no clone; nor is one that takes
// over from another that is frozen. When that wakes up, both stop.
func TestM6ClonedDataFolder(t *testing.T) {
	o := newObserved(t)
	o.connected("key", "chain", "tip")
	o.subject.ok(&v1.Key{}, "key", "new", label)
	o.key()
	for range 8 {
		o.subject.kill()
		o.subject.start()
		o.subject.await("it answers", func(*v1.GetStatusResponse) bool { return true })
	}
	o.connected()
	o.notCloned()

	// The subject freezes while a request is under way that waits for a third
	// approval.
	id := o.payPending(1)
	o.subject.awaitRequest(id, "it approves", func(r *v1.Request) bool { return r.State == v1.RequestState_REQUEST_STATE_APPROVED })
	frozen := o.subject
	if err := frozen.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	clone := &member{t: t, name: "clone", dir: filepath.Join(o.dir, "clone"), phrase: frozen.phrase, listen: freeAddress(t)}
	copyFolder(t, frozen.dir, clone.dir)
	host, port, _ := strings.Cut(clone.listen, ":")
	clone.process = startProcess(t, filepath.Join(clone.dir, "log"), append(clone.command(), "--listen", "/ip4/"+host+"/tcp/"+port)...)
	o.subject = clone
	o.connected()
	o.notCloned()
	_, list := o.listOf(1)
	o.addList(o.observers[1], list) // the third approval, if the clone's counts
	o.signedAt(id, o.observers[:2]...)
	o.addList(o.observers[2], list)
	o.settle(id)
	o.notCloned()

	second := o.payPending(2) // another request is under way as the frozen one wakes up
	if err := frozen.process.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{frozen, clone} {
		said := m.halts()
		for _, want := range []string{"another running process uses this member's identity", "frostfed: hint: find the copy of the data folder and remove it"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q:\n%s", m.name, want, said)
			}
		}
	}
	// The folder that ran last is kept, and the federation goes on.
	clone.process = startProcess(t, filepath.Join(clone.dir, "log"), append(clone.command(), "--listen", "/ip4/"+host+"/tcp/"+port)...)
	o.connected()
	o.addLists(2)
	o.settle(second)
	o.paidOnce(1, 2)
}

// payPending proposes a payout that waits for a third approval: only the first
// observer and the subject have the list.
func (o *observed) payPending(week int) string {
	o.Helper()
	file, list := o.listOf(week)
	o.addList(o.observers[0], list)
	o.subject.ok(&v1.AddPayoutListResponse{}, "payouts", "add", file)
	return o.pay(o.observers[0], week)
}

// notCloned makes sure that nobody takes the subject for two.
func (o *observed) notCloned() {
	o.Helper()
	for _, x := range o.observers {
		for _, p := range x.Host.Peers() {
			if p.Cloned {
				o.Errorf("%s takes %s for two processes", x.member.name, p.ID)
			}
		}
	}
	if !o.subject.process.running() {
		o.Fatalf("it has ended:\n%s", tail(o.subject.process.log, 15))
	}
}

// TestM19FullDisk takes the disk away from a daemon: it answers nothing that is not
// durable, ends with the exit code that keeps it stopped, and has kept every key
// that it said it has.
func TestM19FullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons; left out by -short")
	}
	dir, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	node := newBtcd(t, filepath.Join(dir, "btcd")) // it never runs
	m := &member{t: t, name: "anna", dir: filepath.Join(dir, "anna"), phrase: filepath.Join(dir, "anna.pass"), listen: freeAddress(t)}
	card := m.init(node)
	file := filepath.Join(dir, "federation.toml")
	m.ok(&struct{}{}, "charter", "new", "--name", "alone", "-o", file, card)
	m.ok(&struct{}{}, "charter", "adopt", file)
	m.start()
	m.await("it answers", func(*v1.GetStatusResponse) bool { return true })
	m.process.terminate(t)
	info, err := os.Stat(filepath.Join(m.dir, "state", "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	// No file may grow beyond what the database has already.
	m.process = startProcess(t, filepath.Join(m.dir, "log"), append([]string{"/bin/sh", "-c",
		fmt.Sprintf(`ulimit -f %d && exec "$@"`, info.Size()/512), "sh"}, m.command()...)...)
	m.await("it answers", func(*v1.GetStatusResponse) bool { return true })
	var made []string
	for i := range 128 {
		name := fmt.Sprintf("key%d", i)
		if err := m.try(t.Context(), &v1.NewKeyResponse{}, "key", "new", name); err != nil {
			break
		}
		made = append(made, name)
	}
	if said := m.halts(); !strings.Contains(said, "memory is ahead of the disk") || !strings.Contains(said, "frostfed: hint: look after the disk") {
		t.Errorf("it says:\n%s", said)
	}
	m.start()
	m.await("it answers", func(*v1.GetStatusResponse) bool { return true })
	var keys v1.ListKeysResponse
	m.ok(&keys, "key", "list")
	for _, name := range made {
		if !slices.ContainsFunc(keys.Keys, func(k *v1.Key) bool { return k.Label == name }) {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	t.Logf("%d keys were made before the disk was full", len(made))
	m.process.terminate(t)
}
