package dkg

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"frostfed/crypto/chilldkg"
	"frostfed/crypto/rfc9591"
)

// suiteKeys are the keys outside Bitcoin of a node, as far as tests compare them
// like others.
func suiteKeys(nd *node) (keys []KeyActive) {
	for _, e := range all[SuiteKeyActive](nd) {
		k := KeyActive{SessionID: e.SessionID, CeremonyID: e.CeremonyID, Attempt: e.Attempt, Label: e.Label, T: e.Key.T(),
			Participants: e.Participants, Acks: e.Acks}
		copy(k.ThreshPK[:], e.Key.PublicKey())
		for i := range e.Participants {
			k.PubShares = append(k.PubShares, [33]byte(append(e.Key.PublicShare(i), 0)))
		}
		keys = append(keys, k)
	}
	return keys
}

// requireSigns checks that any t of the given nodes' shares, here the last t, sign
// for the key.
func (w *network) requireSigns(c Ceremony, k KeyActive, nodes []int) {
	w.t.Helper()
	var session *rfc9591.Session
	var shares []*rfc9591.Share
	var nonces []*rfc9591.Nonce
	var ids []int
	var commitments, sigs [][]byte
	var key *rfc9591.Key
	for _, node := range nodes[len(nodes)-c.T:] {
		events := all[SuiteKeyActive](w.nodes[node])
		e := events[slices.IndexFunc(events, func(e SuiteKeyActive) bool { return e.SessionID == k.SessionID })]
		nonce, commitment, err := e.Key.NewNonce(e.Share, w.nodes[node].cfg.Rand)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Key.Suite() != c.Suite || e.Participants[e.Share.ID()] != nodeID(node) {
			w.t.Fatalf("node %d: share %d of a key for %v", node, e.Share.ID(), e.Key.Suite())
		}
		key, ids, shares = e.Key, append(ids, e.Share.ID()), append(shares, e.Share)
		nonces, commitments = append(nonces, nonce), append(commitments, commitment)
	}
	session, err := key.NewSession(ids, commitments, []byte("m"))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range ids {
		sig, err := session.Sign(shares[i], nonces[i])
		if err != nil {
			w.t.Fatal(err)
		}
		sigs = append(sigs, sig)
	}
	if _, err := session.Aggregate(sigs); err != nil {
		w.t.Fatal(err)
	}
}

func suiteCeremony(suite Suite, t int) Ceremony {
	c := testCeremony("main", t)
	c.Suite = suite
	return c
}

// A key generation in every suite beside one for Bitcoin: the sessions never meet,
// nor do the keys.
func TestSuites(t *testing.T) {
	for _, suite := range rfc9591.Suites() {
		t.Run(suite.String(), func(t *testing.T) {
			w := newNetwork(t, 4, 200)
			c, bitcoin := suiteCeremony(suite, 3), testCeremony("coins", 3)
			w.start(c)
			w.start(bitcoin)
			w.settle()
			w.requireKey(c)
			w.requireKey(bitcoin)
			w.requireNoFaults()
			if w.sessionID(c) == w.sessionID(testCeremony("main", 3)) {
				t.Fatal("one session for two suites")
			}
			for i, nd := range w.nodes {
				if len(all[KeyActive](nd)) != 1 || len(all[SuiteKeyActive](nd)) != 1 || w.view(i, c).Phase != PhaseComplete {
					t.Fatalf("node %d: %+v", i, nd.m.Sessions())
				}
				for _, v := range nd.m.Keys() {
					key, other := []byte(nil), SuiteKeyActive{}
					switch v.Suite {
					case Bitcoin:
						k := all[KeyActive](nd)[0].ThreshPK
						key = k[:]
					default:
						other = all[SuiteKeyActive](nd)[0]
						key = other.Key.PublicKey()
					}
					if !slices.Equal(v.PublicKey, key) {
						t.Fatalf("node %d shows key %x, has %x", i, v.PublicKey, key)
					}
				}
				w.restart(i)
			}
			w.settle()
			w.requireKey(c)
			w.requireKey(bitcoin)
			if got := len(all[SuiteKeyActive](w.nodes[0])); got != 2 {
				t.Fatalf("%d events of the key after a restart", got)
			}
		})
	}
}

// Every kind of fault in one suite each, at every place: as for Bitcoin, and all
// that is proved is proved to strangers.
func TestSuitesOneFaulty(t *testing.T) {
	proofs := 0
	for k, b := range faults {
		suite := rfc9591.Suites()[k%len(rfc9591.Suites())]
		t.Run(fmt.Sprintf("%s/%v", b.name, suite), func(t *testing.T) {
			for place := range 4 {
				if place != k%4 && testing.Short() {
					continue
				}
				faulty := map[int]byzantine{place: b}
				w := byzantineNetwork(t, 4, uint64(300+place), faulty)
				c := suiteCeremony(suite, 3)
				w.start(c)
				honest := without(4, faulty)
				w.finish(c, honest)
				w.requireHonest(c, honest)
				for _, f := range w.proofs(honest[0]) {
					got, err := VerifyProof(w.nodes[0].cfg.Members, testNotary, f.Proof)
					if err != nil || got.Culprit != nodeID(place) || got.Kind != f.Kind {
						t.Errorf("proof: %+v, %v", got, err)
					}
					proofs++
				}
			}
		})
	}
	if proofs < len(proved) && !t.Failed() {
		t.Errorf("%d proofs", proofs)
	}
}

// Recovery data of one suite is nothing to a session of another.
func TestRecoveryOfAnotherSuite(t *testing.T) {
	w := newNetwork(t, 4, 210)
	c := suiteCeremony(rfc9591.Ed25519, 3)
	w.start(c)
	w.settle()
	data := w.nodes[0].m.Keys()[0].Recovery
	host := hostSecret(0)
	for _, suite := range []Suite{Bitcoin, rfc9591.Ristretto255, rfc9591.P256} {
		p, err := newScheme(suite, w.nodes[0].m.hostKeys, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.recover(host[:], data); !errors.Is(err, chilldkg.ErrRecoveryData) {
			t.Errorf("%v: %v", suite, err)
		}
	}
}

func TestInvalidSuites(t *testing.T) {
	w := newNetwork(t, 4, 211)
	for _, c := range []Ceremony{suiteCeremony(77, 3), suiteCeremony(rfc9591.P256, 1), suiteCeremony(rfc9591.P256, 5)} {
		e := w.nodes[0].m.Start(0, c)
		if len(e.Out) != 1 || e.Out[0].(Failed).Reason != ReasonInvalid || len(e.Persist) != 0 {
			t.Errorf("suite %v, t = %d: %+v", c.Suite, c.T, e)
		}
	}
}
