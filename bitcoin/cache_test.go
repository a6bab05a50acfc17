package bitcoin

import (
	"reflect"
	"testing"
)

// A cached answer is the computed one, and nobody can spoil it for the next caller.
func TestCache(t *testing.T) {
	plain := testKey(t)
	var cache Cache
	for range 2 {
		cached, err := cache.NewKey(plain.network, plain.PublicKey(), plain.root.chain)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []Path{{Receive, 0}, {Change, 7}, {Receive, 0}} {
			want, err := plain.Derive(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cached.Derive(p)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%v: %+v (%v), want %+v", p, got, err, want)
			}
			got.Script[3] ^= 1
			got.Tweaks[0][0] ^= 1
			got.XOnly[2] = false
		}
		if _, err := cached.Derive(Path{branches, 0}); err == nil {
			t.Fatal("a path of no branch was accepted")
		}
	}
	if _, err := cache.NewKey(plain.network, [33]byte{2}, [32]byte{}); err == nil {
		t.Fatal("x = 0 is no point of the curve")
	}
}
