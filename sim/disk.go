package sim

import (
	"maps"
	"slices"

	"frostfed/protocols"
)

// disk is what survives a crash of a member: all batches that were committed,
// each whole, and nothing of the others.
type disk struct {
	records map[string][]byte
	bytes   int
	commits int
}

func newDisk() *disk { return &disk{records: make(map[string][]byte)} }

func (d *disk) commit(records []protocols.Record) {
	if len(records) == 0 {
		return
	}
	d.commits++
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
