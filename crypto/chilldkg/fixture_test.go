//go:build !toygroup

package chilldkg

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"frostfed/crypto/internal/secp"
)

// fixture is a session among participants with keys derived from a seed.
type fixture struct {
	params  *SessionParams
	session SessionID
	keys    [][]byte
}

// bytes32 returns 32 bytes that depend on the label.
func bytes32(format string, args ...any) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, format, args...))
	return h[:]
}

func newFixture(t testing.TB, threshold, n, seed int) *fixture {
	t.Helper()
	f := &fixture{keys: make([][]byte, n)}
	pubs := make([][]byte, n)
	for i := range f.keys {
		f.keys[i] = bytes32("host key %d %d", seed, i)
		pub, err := HostPubkeyGen(f.keys[i])
		must(t, err)
		pubs[i] = pub[:]
	}
	var err error
	f.params, err = NewSessionParams(pubs, threshold)
	must(t, err)
	f.session = f.params.SessionID([32]byte(bytes32("ceremony %d", seed)), 0)
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) deal(t testing.TB, id int) []byte {
	t.Helper()
	dealing, err := Deal(f.keys[id], f.params, f.session, bytes32("random %d", id))
	must(t, err)
	return dealing
}

func (f *fixture) dealAll(t testing.TB) [][]byte {
	t.Helper()
	dealings := make([][]byte, f.params.N())
	for i := range dealings {
		dealings[i] = f.deal(t, i)
	}
	return dealings
}

func (f *fixture) open(t testing.TB, dealings [][]byte) []*Dealing {
	t.Helper()
	opened, err := OpenDealings(f.params, f.session, dealings)
	must(t, err)
	return opened
}

func (f *fixture) combine(t testing.TB, dealings [][]byte) *Round1 {
	t.Helper()
	round, err := Combine(f.open(t, dealings))
	must(t, err)
	return round
}

// run completes the session without coordinator.
func (f *fixture) run(t testing.TB, dealings [][]byte) ([]*Output, []byte) {
	t.Helper()
	round := f.combine(t, dealings)
	states := make([]*ParticipantState2, len(dealings))
	sigs := make([][]byte, len(dealings))
	for i := range states {
		var err error
		states[i], sigs[i], err = round.Step2(f.keys[i], dealings[i], bytes32("aux %d", i))
		must(t, err)
	}
	outs := make([]*Output, len(states))
	var recovery []byte
	for i, s := range states {
		for j, sig := range sigs {
			must(t, s.AddCertSig(j, sig))
		}
		var ok bool
		if outs[i], recovery, ok = s.Finish(); !ok {
			t.Fatal("certificate is incomplete")
		}
	}
	return outs, recovery
}

// mallory deals with everything of her choice.
type mallory struct {
	f      *fixture
	id     int
	coeffs []secp.Scalar
	// change alters the parts of the message before they are signed and encoded.
	change func(coms []secp.Point, shares []secp.Scalar)
	popID  int
}

func (f *fixture) mallory(id int) *mallory {
	m := &mallory{f: f, id: id, popID: id, change: func([]secp.Point, []secp.Scalar) {}}
	for k := range f.params.t {
		m.coeffs = append(m.coeffs, secp.ReduceScalar([32]byte(bytes32("mallory %d %d", id, k))))
	}
	return m
}

func (m *mallory) deal(t testing.TB) []byte {
	t.Helper()
	p := m.f.params
	h, err := parseHostSeckey(m.f.keys[m.id])
	must(t, err)
	nu := secp.ReduceScalar([32]byte(bytes32("mallory's nonce %d", m.id)))
	nonce := secp.SecretBaseMul(nu).Bytes()
	coms, shares := make([]secp.Point, p.t), make([]secp.Scalar, p.N())
	for k, a := range m.coeffs {
		coms[k] = secp.SecretBaseMul(a)
	}
	for j := range shares {
		shares[j] = evalSecret(m.coeffs, j)
	}
	m.change(coms, shares)
	for j := range shares {
		if j == m.id {
			shares[j] = shares[j].Add(p.selfPad(h, nonce, j))
		} else {
			shares[j] = shares[j].Add(p.ecdhPad(secp.SecretMul(nu, p.points[j]), nonce, j))
		}
	}
	proof, err := pop.Sign(m.coeffs[0], b4(m.popID), [32]byte{})
	if m.coeffs[0].IsZero() {
		err = nil // the proof of 0 is 64 zero bytes
	}
	must(t, err)
	b := appendPoints(nil, coms)
	b = append(b, proof[:]...)
	b = append(b, nonce[:]...)
	b = appendScalars(b, shares)
	pok, err := noncePoK.Sign(nu, noncePoKMessage(m.f.session, m.id, b), [32]byte{})
	must(t, err)
	return append(b, pok[:]...)
}

// wantFaulty asserts that err convicts the participant.
func wantFaulty(t testing.TB, err error, participant int) {
	t.Helper()
	var fault *FaultyParticipantError
	if !errors.As(err, &fault) || fault.Participant != participant {
		t.Errorf("got %v, want a conviction of %d", err, participant)
	}
}
