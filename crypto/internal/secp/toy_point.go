//go:build toygroup

package secp

import "encoding/hex"

// The toy group is the subgroup of order 13 of the curve y² = x³+2 over the field
// of secp256k1, as in the exhaustive tests of libsecp256k1: the curve differs
// from secp256k1 (y² = x³+7) only in the constant, which no formula of addition
// contains. Everything above this package runs over it unchanged, and a test can
// try all shares, nonces, challenges and lies.
//
// A point is held as its logarithm k to the generator. That this is the curve is
// not assumed but proven by exhaustion: see toy_test.go.

// toyPoints are kG for k = 1..6: x, y and -y, the y of (13-k)G.
var toyPoints = [ToyOrder / 2][3]string{
	{"3ad3e1ec92dc070a346a975330b12e1d929c645be56584aa88e489aa3d68746b", "ab34e4942373ed8cf787bb15bc0b9fc1f15065bc091001aa6c607f91c8520383", "54cb1b6bdc8c1273087844ea43f4603e0eaf9a43f6effe55939f806d37adf8ac"},
	{"a2482ff84bf34edfa51262fde57921dbe0dd2cb7a5914790bc71631fc09704fb", "6bdac9345c1b6b6dc58fe33c11c1bbc020e7d556ea475595e992c4e5457b4bea", "942536cba3e494923a701cc3ee3e443fdf182aa915b8aa6a166d3b19ba84b045"},
	{"d7661dfac809808a9cec495f82babb21cf7e4f68796916010a2741f7501f94de", "ab34e4942373ed8cf787bb15bc0b9fc1f15065bc091001aa6c607f91c8520383", "54cb1b6bdc8c1273087844ea43f4603e0eaf9a43f6effe55939f806d37adf8ac"},
	{"edc60018a51a786b2ea91f4d4c9416c09de54c3ba13165546cf4345c7277ef15", "54cb1b6bdc8c1273087844ea43f4603e0eaf9a43f6effe55939f806d37adf8ac", "ab34e4942373ed8cf787bb15bc0b9fc1f15065bc091001aa6c607f91c8520383"},
	{"e3c9b3d1054f4b9560bf61c1d169663c88fe5c8fddce6ca1823ca3622cd8c7d9", "6bdac9345c1b6b6dc58fe33c11c1bbc020e7d556ea475595e992c4e5457b4bea", "942536cba3e494923a701cc3ee3e443fdf182aa915b8aa6a166d3b19ba84b045"},
	{"79ee1c36aebd658afa2e3b40491d77e7962476b87ca04bcdc151f97c12902b8a", "6bdac9345c1b6b6dc58fe33c11c1bbc020e7d556ea475595e992c4e5457b4bea", "942536cba3e494923a701cc3ee3e443fdf182aa915b8aa6a166d3b19ba84b045"},
}

var (
	toyEncodings [ToyOrder][PointSize]byte // compressed, by logarithm; O is zeros
	toyYs        [ToyOrder][32]byte
	toyDecodings = map[[PointSize]byte]Point{}
)

func init() {
	for i, row := range toyPoints {
		for j, k := range []uint8{uint8(i + 1), uint8(ToyOrder - i - 1)} {
			x, errX := hex.DecodeString(row[0])
			y, errY := hex.DecodeString(row[1+j])
			if errX != nil || errY != nil {
				panic("secp: toy group table")
			}
			toyYs[k] = [32]byte(y)
			toyEncodings[k] = [PointSize]byte(append([]byte{evenY + y[31]&1}, x...))
			toyDecodings[toyEncodings[k]] = Point{Scalar{k}}
		}
	}
}

var generator = Point{Scalar{1}}

// ParsePoint decodes a compressed point of the group, never O.
func ParsePoint(b []byte) (Point, error) {
	if len(b) != PointSize {
		return Point{}, ErrPoint
	}
	p, ok := toyDecodings[[PointSize]byte(b)]
	if !ok {
		return Point{}, ErrPoint
	}
	return p, nil
}

// Bytes returns the compressed encoding. It panics for O.
func (p Point) Bytes() [33]byte {
	if p.IsInfinity() {
		panic("secp: encoding of the point at infinity")
	}
	return toyEncodings[p.log.v]
}

// Y returns the y coordinate. It panics for O.
func (p Point) Y() [32]byte {
	if p.IsInfinity() {
		panic("secp: coordinate of the point at infinity")
	}
	return toyYs[p.log.v]
}
