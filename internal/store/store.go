// Package store keeps the records of the federation's machines in a bbolt
// database. One Commit is one durable transaction: a driver commits the records
// of a batch before anything of that batch becomes visible to others.
//
// bbolt has no page checksums, so each record carries its own, and a digest of all
// records notices those that are gone: a flipped bit in a page may hide a promise.
// What is left is damage to the newest meta page, of which bbolt keeps two: then the
// database is what it was one commit ago, as after a crash in that commit. No
// secret is ever stored here; see package keystore.
package store

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"frostfed/protocols"
)

const (
	schemaVersion = 1
	sumSize       = 8
	lockTimeout   = time.Second
)

var (
	bucketMeta    = []byte("meta")
	bucketRecords = []byte("records")
	bucketPeers   = []byte("peers")
	keySchema     = []byte("schema")
	keyOwner      = []byte("owner")
	keyDigest     = []byte("digest")
)

// Errors that callers act on.
var (
	ErrLocked  = errors.New("another process uses this data folder")
	ErrCorrupt = errors.New("the database is damaged")
	ErrOwner   = errors.New("the database belongs to another federation or member")
	ErrSchema  = errors.New("the database was written by a newer version of this program")
)

// Store is an open database. Its methods may be called from several goroutines.
type Store struct {
	db *bolt.DB
	// broken is the first failure to write. After a failed fsync nobody knows what
	// the disk holds, and a later one that succeeds proves nothing.
	broken atomic.Pointer[error]
}

// Open opens or creates dir/state.db and locks it against other processes.
// owner (federation and member) is stamped at creation and must match later.
func Open(dir string, owner []byte) (*Store, error) { return openWith(dir, owner, os.OpenFile) }

func openWith(dir string, owner []byte, openFile func(string, int, fs.FileMode) (*os.File, error)) (*Store, error) {
	path := filepath.Join(dir, "state.db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		return nil, fmt.Errorf("open database: %s has mode %v; run: chmod 600 %s", path, info.Mode(), path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open database: %w", err)
	}
	var db *bolt.DB
	err := guard(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, OpenFile: openFile})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open database %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s := &Store{db: db}
	if err := errors.Join(s.prepare(owner), syncDir(dir)); err != nil {
		db.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return s, nil
}

// syncDir makes a new file's name durable: without it a power cut may take the
// whole database away, with all that was committed to it.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s *Store) prepare(owner []byte) error {
	return s.update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketRecords, bucketPeers} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		switch v := meta.Get(keySchema); {
		case v == nil:
			return errors.Join(meta.Put(keySchema, []byte{schemaVersion}), meta.Put(keyOwner, owner),
				meta.Put(keyDigest, make([]byte, digestSize)))
		case len(v) != 1 || v[0] > schemaVersion:
			return ErrSchema
		case !bytes.Equal(meta.Get(keyOwner), owner):
			return ErrOwner
		}
		return nil
	})
}

// Commit writes and deletes the records in one transaction and returns once it
// is on disk. After an error the caller must stop: its memory is ahead. Every
// later Commit fails, too.
func (s *Store) Commit(records []protocols.Record) error {
	if len(records) == 0 {
		return nil
	}
	err := s.update(func(tx *bolt.Tx) error {
		b, meta := tx.Bucket(bucketRecords), tx.Bucket(bucketMeta)
		var d digest
		copy(d[:], meta.Get(keyDigest))
		for _, r := range records {
			if old := b.Get([]byte(r.Key)); old != nil {
				d.toggle(r.Key, old)
			}
			var err error
			if r.Value == nil {
				err = b.Delete([]byte(r.Key))
			} else {
				stored := seal(r.Key, r.Value)
				d.toggle(r.Key, stored)
				err = b.Put([]byte(r.Key), stored)
			}
			if err != nil {
				return err
			}
		}
		return meta.Put(keyDigest, d[:])
	})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (s *Store) update(f func(*bolt.Tx) error) error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	err := guard(func() error { return s.db.Update(f) })
	if err != nil {
		s.broken.CompareAndSwap(nil, &err)
	}
	return err
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

// guard turns what bbolt does on damaged pages, panics and faults of its memory
// map, into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	return f()
}

// Load returns all records in order of their keys.
func (s *Store) Load() ([]protocols.Record, error) {
	var out []protocols.Record
	var d digest
	err := s.view(func(tx *bolt.Tx) error {
		err := tx.Bucket(bucketRecords).ForEach(func(k, v []byte) error {
			value, err := open(string(k), v)
			if err != nil {
				return err
			}
			d.toggle(string(k), v)
			out = append(out, protocols.Record{Key: string(k), Value: value})
			return nil
		})
		if err == nil && !bytes.Equal(d[:], tx.Bucket(bucketMeta).Get(keyDigest)) {
			return fmt.Errorf("%w: records are missing", ErrCorrupt)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return out, nil
}

// SavePeer remembers where a peer was last reached. It is a hint that can be
// lost, kept apart from the records.
func (s *Store) SavePeer(id protocols.NodeID, addrs []byte) error {
	return s.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketPeers).Put([]byte(id), seal(string(id), addrs))
	})
}

// LoadPeers returns what SavePeer stored. Damaged entries are left out.
func (s *Store) LoadPeers() (map[protocols.NodeID][]byte, error) {
	out := make(map[protocols.NodeID][]byte)
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketPeers).ForEach(func(k, v []byte) error {
			if value, err := open(string(k), v); err == nil {
				out[protocols.NodeID(k)] = value
			}
			return nil
		})
	})
	return out, err
}

// Close releases the lock.
func (s *Store) Close() error { return s.db.Close() }

func sum(key string, value []byte) []byte {
	h := sha256.New()
	h.Write([]byte{byte(len(key) >> 8), byte(len(key))})
	h.Write([]byte(key))
	h.Write(value)
	return h.Sum(nil)[:sumSize]
}

const digestSize = sha256.Size

// digest is a hash of a set of records: the sum of theirs in GF(2), so that it
// follows from the records that a commit changes. It is no defence against who can
// choose records.
type digest [digestSize]byte

func (d *digest) toggle(key string, stored []byte) {
	h := sha256.New()
	h.Write([]byte{byte(len(key) >> 8), byte(len(key))})
	h.Write([]byte(key))
	h.Write(stored)
	subtle.XORBytes(d[:], d[:], h.Sum(nil))
}

func seal(key string, value []byte) []byte {
	return append(sum(key, value), value...)
}

func open(key string, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || !bytes.Equal(sum(key, stored[sumSize:]), stored[:sumSize]) {
		return nil, fmt.Errorf("%w: record %q", ErrCorrupt, key)
	}
	return bytes.Clone(stored[sumSize:]), nil
}
