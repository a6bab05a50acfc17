package chain

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"pgregory.net/rapid"
)

// testHash is the hash of a made-up block.
func testHash(n uint64) (h chainhash.Hash) {
	binary.BigEndian.PutUint64(h[:], n)
	return h
}

func run(first int32, n int) []BlockID {
	ids := make([]BlockID, n)
	for i := range ids {
		ids[i] = BlockID{Height: first + int32(i), Hash: testHash(uint64(first) + uint64(i) + 1)}
	}
	return ids
}

func TestNewTrackerRefuses(t *testing.T) {
	gap := run(5, 3)
	gap[2].Height++
	for name, try := range map[string]struct {
		from  []BlockID
		depth int
	}{
		"gap":             {gap, 0},
		"newest first":    {[]BlockID{{Height: 2}, {Height: 1}}, 0},
		"negative height": {[]BlockID{{Height: -1}}, 0},
		"negative depth":  {nil, -1},
	} {
		if _, err := NewTracker(try.from, try.depth); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTrackerStart(t *testing.T) {
	tracker, err := NewTracker(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tracker.Tip(); ok || tracker.Next() != 0 {
		t.Error("an empty tracker has a tip")
	}
	if _, err := tracker.Disconnect(); !errors.Is(err, ErrTooDeep) {
		t.Errorf("disconnect of nothing: %v", err)
	}
	if _, err := tracker.Connect(testHash(2), testHash(1)); !errors.Is(err, ErrFork) {
		t.Errorf("first block with a parent: %v", err)
	}
	if id, err := tracker.Connect(testHash(1), chainhash.Hash{}); err != nil || id.Height != 0 {
		t.Errorf("genesis block: %v, %v", id, err)
	}
	if _, err := tracker.Disconnect(); !errors.Is(err, ErrTooDeep) {
		t.Errorf("disconnect of the genesis block: %v", err)
	}
}

// TestTrackerModel compares a tracker with the plain list of a whole chain.
func TestTrackerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.IntRange(1, 8).Draw(t, "depth")
		full := run(int32(rapid.IntRange(0, 100).Draw(t, "start")), rapid.IntRange(1, 12).Draw(t, "known"))
		tracker, err := NewTracker(full, depth)
		if err != nil {
			t.Fatal(err)
		}
		remembered := min(len(full), depth)
		next := uint64(1000)
		t.Repeat(map[string]func(*rapid.T){
			"connect": func(t *rapid.T) {
				next++
				tip := full[len(full)-1]
				got, err := tracker.Connect(testHash(next), tip.Hash)
				want := BlockID{tip.Height + 1, testHash(next)}
				if err != nil || got != want {
					t.Fatalf("got %v, %v, want %v", got, err, want)
				}
				full = append(full, want)
				remembered = min(remembered+1, depth)
			},
			"fork": func(t *rapid.T) {
				if _, err := tracker.Connect(testHash(1<<40), testHash(1<<41)); !errors.Is(err, ErrFork) {
					t.Fatalf("got %v", err)
				}
			},
			"disconnect": func(t *rapid.T) {
				got, err := tracker.Disconnect()
				if remembered == 1 {
					if !errors.Is(err, ErrTooDeep) {
						t.Fatalf("got %v, %v", got, err)
					}
					return
				}
				if err != nil || got != full[len(full)-1] {
					t.Fatalf("got %v, %v, want %v", got, err, full[len(full)-1])
				}
				full = full[:len(full)-1]
				remembered--
			},
			"restart": func(t *rapid.T) {
				if tracker, err = NewTracker(tracker.Recent(), depth); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				tip, ok := tracker.Tip()
				if want := full[len(full)-1]; !ok || tip != want || tracker.Next() != want.Height+1 {
					t.Fatalf("tip %v, want %v", tip, want)
				}
				if !slices.Equal(tracker.Recent(), full[len(full)-remembered:]) {
					t.Fatalf("remembers %v of %v", tracker.Recent(), full)
				}
			},
		})
	})
}
