//go:build !toygroup

package bip445

import (
	"crypto/rand"
	"fmt"
	"testing"
)

var sizes = [][2]int{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}}

// bench is everything a signing session needs, made once per size.
type bench struct {
	*dealt
	ids    []int
	set    *SignerSet
	pubs   []PubNonce
	raw    [][]byte
	agg    AggNonce
	msg    []byte
	psigs  [][32]byte
	signer *Signer
	nonce  *SecNonce   // of signer
	k      secretNonce // what nonce held, see refill
}

func eachSize(b *testing.B, f func(b *testing.B, x *bench)) {
	for _, size := range sizes {
		t, n := size[0], size[1]
		b.Run(fmt.Sprintf("t=%d,n=%d", t, n), func(b *testing.B) {
			x := &bench{dealt: deal(b, t, n, 1), ids: spread(t, n), msg: make([]byte, 32)}
			var err error
			if x.set, err = x.group.SignerSet(x.ids); err != nil {
				b.Fatal(err)
			}
			var secs []*SecNonce
			secs, x.pubs = x.nonces(b, x.ids, 1)
			x.signer, x.nonce = x.signers[x.ids[t-1]], secs[t-1]
			x.k = *x.nonce.secret
			for i := range x.pubs {
				x.raw = append(x.raw, x.pubs[i].enc[:])
			}
			x.agg = NonceAgg(x.pubs)
			s := mustSession(b, x.set, x.group.TweakCtx(), x.agg, x.msg)
			x.psigs = x.dealt.psigs(b, s, secs)
			b.ReportAllocs()
			f(b, x)
		})
	}
}

// refill undoes the consumption of the nonce: a benchmark signs one message
// again and again.
func (x *bench) refill() { *x.nonce.secret = x.k }

// BenchmarkNonceGen is a pair of nonces with all inputs.
func BenchmarkNonceGen(b *testing.B) {
	d := deal(b, 1, 1, 1)
	id := 0
	in := NonceInput{SecShare: d.shares[0], SignerID: &id, PubShare: d.info.PubShares[0], XonlyPK: d.info.ThreshPK[1:]}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := NonceGen(rand.Reader, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePubNonce(b *testing.B) {
	d := deal(b, 1, 1, 1)
	_, pubs := d.nonces(b, []int{0}, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePubNonce(pubs[0].enc[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTweakApply(b *testing.B) {
	d := deal(b, 1, 1, 1)
	tweak := testBytes("tweak")
	key := d.group.TweakCtx()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Apply(tweak[:], true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValidate is the check of a new group, once per key.
func BenchmarkValidate(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		for b.Loop() {
			if err := x.info.Validate(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSignerSet is a new choice of signers from a validated group.
func BenchmarkSignerSet(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		for b.Loop() {
			if _, err := x.group.SignerSet(x.ids); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNewSignerSet is the same with the validation of the BIP.
func BenchmarkNewSignerSet(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		shares := make([][]byte, len(x.ids))
		for i, id := range x.ids {
			shares[i] = x.info.PubShares[id]
		}
		for b.Loop() {
			if _, err := NewSignerSet(x.info.T, len(x.info.PubShares), x.info.ThreshPK[:], x.ids, shares); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSign is a signer's online work with a cached set: aggregate nonce
// from bytes, session, partial signature, self-verification.
func BenchmarkSign(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		enc, key := x.agg.Bytes(), x.group.TweakCtx()
		for b.Loop() {
			x.refill()
			agg, err := ParseAggNonce(enc[:])
			if err != nil {
				b.Fatal(err)
			}
			s, err := NewSession(x.set, key, agg, x.msg)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := x.signer.Sign(&s, x.nonce); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkNonceAgg adds nonces that were decoded on arrival.
func BenchmarkNonceAgg(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		for b.Loop() {
			NonceAgg(x.pubs)
		}
	})
}

// BenchmarkCoordinator is from nonces to the verified signature, with nonces as
// bytes and decoded on arrival.
func BenchmarkCoordinator(b *testing.B) {
	run := func(decoded bool) func(b *testing.B) {
		return func(b *testing.B) {
			eachSize(b, func(b *testing.B, x *bench) {
				key := x.group.TweakCtx()
				for b.Loop() {
					nonces := x.pubs
					if !decoded {
						var err error
						if nonces, err = ParsePubNonces(x.raw); err != nil {
							b.Fatal(err)
						}
					}
					s, err := NewSession(x.set, key, NonceAgg(nonces), x.msg)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := s.PartialSigAgg(x.psigs); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("nonces=bytes", run(false))
	b.Run("nonces=decoded", run(true))
}

// BenchmarkPartialSigAgg is the sum and the verification of the signature.
func BenchmarkPartialSigAgg(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		s := mustSession(b, x.set, x.group.TweakCtx(), x.agg, x.msg)
		for b.Loop() {
			if _, err := s.PartialSigAgg(x.psigs); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPartialSigVerify is one partial signature.
func BenchmarkPartialSigVerify(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		s := mustSession(b, x.set, x.group.TweakCtx(), x.agg, x.msg)
		for b.Loop() {
			if err := s.PartialSigVerify(1, x.pubs[1], x.psigs[1]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCulprits is the verification of every partial signature.
func BenchmarkCulprits(b *testing.B) {
	eachSize(b, func(b *testing.B, x *bench) {
		s := mustSession(b, x.set, x.group.TweakCtx(), x.agg, x.msg)
		for b.Loop() {
			if c, err := s.Culprits(x.pubs, x.psigs); err != nil || c != nil {
				b.Fatal(c, err)
			}
		}
	})
}
