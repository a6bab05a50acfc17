//go:build !toygroup

package rfc9591

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/bytemare/ecc"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/internal/secp"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bytes32 returns 32 bytes that depend on the label.
func bytes32(format string, args ...any) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, format, args...))
	return h[:]
}

// eachSuite runs a test for all suites.
func eachSuite(t *testing.T, f func(t *testing.T, suite Suite)) {
	for _, suite := range Suites() {
		t.Run(suite.String(), func(t *testing.T) { f(t, suite) })
	}
}

// fixture is a session among participants with keys derived from labels.
type fixture struct {
	params  *Params
	session chilldkg.SessionID
	keys    [][]byte
}

func newFixture(t testing.TB, suite Suite, threshold, n int) *fixture {
	t.Helper()
	f := &fixture{}
	var pubs [][]byte
	for i := range n {
		f.keys = append(f.keys, bytes32("host key %d", i))
		pub, err := chilldkg.HostPubkeyGen(f.keys[i])
		must(t, err)
		pubs = append(pubs, pub[:])
	}
	hosts, err := chilldkg.NewSessionParams(pubs, threshold)
	must(t, err)
	f.params, err = NewParams(suite, hosts)
	must(t, err)
	f.session = f.params.SessionID([32]byte(bytes32("ceremony")), 0)
	return f
}

func (f *fixture) deal(t testing.TB, id int) []byte {
	t.Helper()
	b, err := Deal(f.keys[id], f.params, f.session, bytes32("random %d", id))
	must(t, err)
	return b
}

func (f *fixture) dealAll(t testing.TB) (dealings [][]byte) {
	t.Helper()
	for id := range f.keys {
		dealings = append(dealings, f.deal(t, id))
	}
	return dealings
}

func (f *fixture) combine(t testing.TB, dealings [][]byte) *Round1 {
	t.Helper()
	opened, err := OpenDealings(f.params, f.session, dealings)
	must(t, err)
	round, err := Combine(opened)
	must(t, err)
	return round
}

// certify returns the recovery data that the given dealings lead to.
func (f *fixture) certify(t testing.TB, dealings [][]byte) []byte {
	t.Helper()
	round := f.combine(t, dealings)
	data := round.EqInput()
	for id, key := range f.keys {
		sig, err := round.Certify(key, dealings[id], bytes32("aux %d", id))
		must(t, err)
		must(t, VerifyCertSig(f.params, id, round.EqInput(), sig[:]))
		data = append(data, sig[:]...)
	}
	return data
}

// run generates a key and returns it with the shares, by participant.
func (f *fixture) run(t testing.TB) (*Key, []*Share) {
	t.Helper()
	data := f.certify(t, f.dealAll(t))
	shares := make([]*Share, len(f.keys))
	var key *Key
	for id := range f.keys {
		out, _, err := Recover(f.keys[id], data)
		must(t, err)
		if key != nil && !bytes.Equal(out.Key.PublicKey(), key.PublicKey()) {
			t.Fatal("participants have different keys")
		}
		key, shares[id] = out.Key, out.Share
	}
	return key, shares
}

// mallory deals with everything of her choice.
type mallory struct {
	f       *fixture
	id      int
	popID   int
	session chilldkg.SessionID // of the proof of possession
	coeffs  []*ecc.Scalar
	// change alters the parts of the dealing before they are signed and encoded.
	change func(coms []*ecc.Element, shares []*ecc.Scalar)
}

func (f *fixture) mallory(id int) *mallory {
	m := &mallory{f: f, id: id, popID: id, session: f.session, change: func([]*ecc.Element, []*ecc.Scalar) {}}
	for k := range f.params.T() {
		m.coeffs = append(m.coeffs, f.params.suite.hash("mallory", bytes32("%d %d", id, k)))
	}
	return m
}

func (m *mallory) deal(t testing.TB) []byte {
	t.Helper()
	p := m.f.params
	nu := secp.ReduceScalar([32]byte(bytes32("mallory's nonce %d", m.id)))
	nonce := secp.SecretBaseMul(nu).Bytes()
	h, err := secp.ParseScalarNonZero(m.f.keys[m.id])
	must(t, err)
	var coms []*ecc.Element
	var shares []*ecc.Scalar
	for _, a := range m.coeffs {
		coms = append(coms, p.suite.group().Base().Multiply(a))
	}
	for j := range p.N() {
		shares = append(shares, evalSecret(m.coeffs, j))
	}
	m.change(coms, shares)
	b := []byte{byte(p.suite)}
	for _, c := range coms {
		b = append(b, c.Encode()...)
	}
	b = append(b, p.prove(m.coeffs[0], m.session, m.popID, bytes32("seed"))...)
	b = append(b, nonce[:]...)
	for j, share := range shares {
		pad := p.selfPad(h, m.f.session, nonce, j)
		if j != m.id {
			pad = p.pad(secp.SecretMul(nu, p.points[j]), m.f.session, nonce, j)
		}
		b = append(b, share.Add(pad).Encode()...)
	}
	pok, err := noncePoK.Sign(nu, noncePoKMessage(m.f.session, m.id, b), [32]byte{})
	must(t, err)
	return append(b, pok[:]...)
}
