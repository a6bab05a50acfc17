//go:build !toygroup

package secp

import (
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
)

// Dense values: small ones would make variable time operations look fast.
var (
	benchScalar = ScalarFromUint(7).InverseVartime()
	benchPoint  = SecretBaseMul(ScalarFromUint(11).InverseVartime())
)

func BenchmarkScalarMul(b *testing.B) {
	b.ReportAllocs()
	s := benchScalar
	for b.Loop() {
		s = s.Mul(benchScalar)
	}
}

func BenchmarkPointAdd(b *testing.B) {
	b.ReportAllocs()
	p := Generator()
	for b.Loop() {
		p = p.Add(benchPoint)
	}
}

func BenchmarkParsePoint(b *testing.B) {
	b.ReportAllocs()
	enc := benchPoint.Bytes()
	for b.Loop() {
		if _, err := ParsePoint(enc[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePointWithY(b *testing.B) {
	b.ReportAllocs()
	enc, y := benchPoint.Bytes(), benchPoint.Y()
	for b.Loop() {
		if _, err := ParsePointWithY(enc[:], y[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPointBytes(b *testing.B) {
	b.ReportAllocs()
	p := benchPoint.Add(Generator())
	for b.Loop() {
		p.Bytes()
	}
}

func BenchmarkSecretBaseMul(b *testing.B) {
	b.Run("impl=secp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			SecretBaseMul(benchScalar)
		}
	})
	b.Run("impl=btcec", func(b *testing.B) {
		k := btcecScalar(benchScalar)
		for b.Loop() {
			var r btcec.JacobianPoint
			btcec.ScalarBaseMultNonConst(k, &r)
		}
	})
}

func BenchmarkSecretMul(b *testing.B) {
	b.Run("impl=secp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			SecretMul(benchScalar, benchPoint)
		}
	})
	b.Run("impl=btcec", func(b *testing.B) {
		k, p := btcecScalar(benchScalar), btcecPoint(benchPoint)
		for b.Loop() {
			var r btcec.JacobianPoint
			btcec.ScalarMultNonConst(k, &p, &r)
		}
	})
}

func BenchmarkMulVartime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		MulVartime(benchScalar, benchPoint)
	}
}

func BenchmarkMulSmallVartime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		MulSmallVartime(100, benchPoint)
	}
}

func BenchmarkDoubleMulVartime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		DoubleMulVartime(benchScalar, benchScalar, benchPoint)
	}
}

func BenchmarkTripleMulVartime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		TripleMulVartime(benchScalar, benchScalar, benchPoint, benchScalar, benchPoint)
	}
}

func BenchmarkMultiMulVartime(b *testing.B) {
	for _, n := range []int{2, 3, 5, 16, 67, 256} {
		ks, ps := make([]Scalar, n), make([]Point, n)
		k, p := benchScalar, benchPoint
		for i := range n {
			ks[i], ps[i] = k, p
			k, p = k.Mul(benchScalar), p.Add(benchPoint)
		}
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				MultiMulVartime(ks, ps)
			}
		})
	}
}

func BenchmarkTagHash(b *testing.B) {
	b.ReportAllocs()
	tag, part := NewTag("BIP0340/challenge"), make([]byte, 32)
	for b.Loop() {
		tag.Hash(part, part, part)
	}
}

func BenchmarkSchnorr(b *testing.B) {
	msg := make([]byte, 32)
	sig, err := BIP340.Sign(benchScalar, msg, [32]byte{})
	if err != nil {
		b.Fatal(err)
	}
	pub := SecretBaseMul(benchScalar)
	x := pub.X()
	b.Run("op=sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := BIP340.Sign(benchScalar, msg, [32]byte{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !BIP340.Verify(x[:], msg, sig[:]) {
				b.Fatal("invalid")
			}
		}
	})
	for _, n := range []int{5, 10, 20, 50, 100} {
		items := make([]BatchItem, n)
		for i := range items {
			d := ScalarFromUint(uint64(i) + 1).InverseVartime()
			sig, err := BIP340.Sign(d, msg, [32]byte{})
			if err != nil {
				b.Fatal(err)
			}
			items[i] = BatchItem{SecretBaseMul(d), msg, sig[:]}
		}
		b.Run(fmt.Sprintf("op=batch/n=%d", n), func(b *testing.B) {
			for b.Loop() {
				if !BIP340.VerifyBatch(items) {
					b.Fatal("invalid")
				}
			}
		})
		b.Run(fmt.Sprintf("op=single/n=%d", n), func(b *testing.B) {
			for b.Loop() {
				for _, it := range items {
					if !BIP340.VerifyPoint(it.Pubkey, it.Msg, it.Sig) {
						b.Fatal("invalid")
					}
				}
			}
		})
	}
}

func BenchmarkDLEQ(b *testing.B) {
	proof, A, C, err := DLEQProve(benchScalar, benchPoint, [32]byte{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("op=prove", func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := DLEQProve(benchScalar, benchPoint, [32]byte{}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=verify", func(b *testing.B) {
		for b.Loop() {
			if !DLEQVerify(A, benchPoint, C, proof[:], nil) {
				b.Fatal("invalid")
			}
		}
	})
}
