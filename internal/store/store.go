// Package store keeps the records of the federation's machines in a bbolt
// database. One Commit is one durable transaction: a driver commits the records
// of a batch before anything of that batch becomes visible to others.
//
// bbolt has no page checksums, so each record carries its own. No secret is ever
// stored here; see package keystore.
package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
)

// Errors that callers act on.
var (
	ErrLocked  = errors.New("another process uses this data folder")
	ErrCorrupt = errors.New("a record of the database is damaged")
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
func Open(dir string, owner []byte) (*Store, error) {
	path := filepath.Join(dir, "state.db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0) {
		return nil, fmt.Errorf("open database: %s has mode %v; run: chmod 600 %s", path, info.Mode(), path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout})
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
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketRecords, bucketPeers} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		switch v := meta.Get(keySchema); {
		case v == nil:
			if err := meta.Put(keySchema, []byte{schemaVersion}); err != nil {
				return err
			}
			return meta.Put(keyOwner, owner)
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
		b := tx.Bucket(bucketRecords)
		for _, r := range records {
			var err error
			if r.Value == nil {
				err = b.Delete([]byte(r.Key))
			} else {
				err = b.Put([]byte(r.Key), seal(r.Key, r.Value))
			}
			if err != nil {
				return err
			}
		}
		return nil
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
	err := s.db.Update(f)
	if err != nil {
		s.broken.CompareAndSwap(nil, &err)
	}
	return err
}

// Load returns all records in order of their keys.
func (s *Store) Load() ([]protocols.Record, error) {
	var out []protocols.Record
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketRecords).ForEach(func(k, v []byte) error {
			value, err := open(string(k), v)
			if err != nil {
				return err
			}
			out = append(out, protocols.Record{Key: string(k), Value: value})
			return nil
		})
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
	err := s.db.View(func(tx *bolt.Tx) error {
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

func seal(key string, value []byte) []byte {
	return append(sum(key, value), value...)
}

func open(key string, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || !bytes.Equal(sum(key, stored[sumSize:]), stored[:sumSize]) {
		return nil, fmt.Errorf("%w: key %q; restore the data folder from the other members: see docs/operations.md", ErrCorrupt, key)
	}
	return bytes.Clone(stored[sumSize:]), nil
}
