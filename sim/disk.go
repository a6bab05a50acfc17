package sim

import (
	"maps"
	"slices"

	"frostfed/protocols"
)

// disk is what survives a crash of a member: all batches that were committed,
// each whole, and nothing of the others. One that forgets keeps them all, to go
// back to an earlier image.
type disk struct {
	records map[string][]byte
	bytes   int
	commits int
	forgets bool
	batches [][]protocols.Record // only if it forgets
}

func newDisk() *disk { return &disk{records: make(map[string][]byte)} }

// rewind goes back to the image after the first count batches.
func (d *disk) rewind(count int) {
	batches := d.batches[:min(count, len(d.batches))]
	*d = disk{records: make(map[string][]byte), forgets: true}
	for _, b := range batches {
		d.commit(b)
	}
}

func (d *disk) commit(records []protocols.Record) {
	if len(records) == 0 {
		return
	}
	d.commits++
	if d.forgets {
		d.batches = append(d.batches, records) // values are never changed once they are given out
	}
	for _, r := range records {
		if old, ok := d.records[r.Key]; ok {
			d.bytes -= len(r.Key) + len(old)
			delete(d.records, r.Key)
		}
		if r.Value != nil {
			// A copy, since a real disk does not change with the memory.
			d.records[r.Key] = append([]byte{}, r.Value...)
			d.bytes += len(r.Key) + len(r.Value)
		}
	}
}

// load returns the records in order of their keys, as a store does.
func (d *disk) load() []protocols.Record {
	out := make([]protocols.Record, 0, len(d.records))
	for _, key := range slices.Sorted(maps.Keys(d.records)) {
		out = append(out, protocols.Record{Key: key, Value: slices.Clone(d.records[key])})
	}
	return out
}

// fail is what a crash does to a disk that forgets: the last batches were never
// synced, or somebody puts back an older image.
func (d *disk) fail(w *world) (wentBack bool) {
	if !d.forgets || len(d.batches) == 0 {
		return false
	}
	count := len(d.batches)
	switch {
	case w.rng.Float64() < w.knobs.Unsynced:
		count = max(0, count-1-w.rng.IntN(8))
	case w.rng.Float64() < w.knobs.Restored:
		count = w.rng.IntN(count)
	default:
		return false
	}
	w.trace.add(w.now, "disk goes back from batch %d to %d", len(d.batches), count)
	w.check.stats.Rewinds++
	d.rewind(count)
	return true
}
