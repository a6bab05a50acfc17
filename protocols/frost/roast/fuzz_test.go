package roast

import (
	"testing"

	"frostfed/protocols"
	"frostfed/test/alloc"
)

// FuzzRecord: what Restore accepts is bounded by the record and written again the
// same.
func FuzzRecord(f *testing.F) {
	rec := (&finished{id: requestID{1}, seq: 1, signature: make([]byte, 64)}).record()
	f.Add(rec.Key, rec.Value)
	f.Add(rec.Key, rec.Value[:len(rec.Value)-1])
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var got *finished
		var ok bool
		alloc.Limit(t, len(key)+len(value), 16, 0, func() { got, ok = parseRecord(protocols.Record{Key: key, Value: value}) })
		if !ok {
			return
		}
		if again := got.record(); again.Key != key || string(again.Value) != string(value) {
			t.Fatalf("read %q %x, wrote %q %x", key, value, again.Key, again.Value)
		}
	})
}
