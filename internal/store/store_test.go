package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"frostfed/protocols"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestCommitSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.Commit([]protocols.Record{{Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("1")}, {Key: "c", Value: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit([]protocols.Record{{Key: "b"}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	got, err := mustOpen(t, dir).Load()
	if err != nil || len(got) != 2 || got[0].Key != "a" || string(got[0].Value) != "1" || got[1].Key != "c" || got[1].Value == nil {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir)
	if _, err := Open(dir, []byte("alice")); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v", err)
	}
}

func TestForeignOwnerIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir).Close()
	if _, err := Open(dir, []byte("bob")); !errors.Is(err, ErrOwner) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenModeIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir).Close()
	if err := os.Chmod(filepath.Join(dir, "state.db"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, []byte("alice")); err == nil {
		s.Close()
		t.Fatal("opened a database that others can read")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, []byte{schemaVersion + 1})
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(dir, []byte("alice")); !errors.Is(err, ErrSchema) {
		t.Fatalf("got %v", err)
	}
}

// Every flipped byte of a stored record is noticed.
func TestDamagedRecordIsNoticed(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	stored := seal("key", []byte("value"))
	for i := range stored {
		bad := append([]byte(nil), stored...)
		bad[i] ^= 0x40
		if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Put([]byte("key"), bad) }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: got %v", i, err)
		}
	}
}

func TestPeers(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	if err := s.SavePeer("bob", []byte("/ip4/127.0.0.1/tcp/1")); err != nil {
		t.Fatal(err)
	}
	got, err := s.LoadPeers()
	if err != nil || string(got["bob"]) != "/ip4/127.0.0.1/tcp/1" {
		t.Fatalf("got %v, %v", got, err)
	}
}

// After one failed write none is believed, whichever part wrote.
func TestFailureIsFinal(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	if err := s.SavePeer("", nil); err == nil { // bbolt refuses an empty key
		t.Fatal("an empty key is stored")
	}
	err := s.Commit([]protocols.Record{{Key: "a", Value: []byte("1")}})
	if !errors.Is(err, bolterrors.ErrKeyRequired) {
		t.Fatalf("got %v", err)
	}
	if got, err := s.Load(); err != nil || len(got) != 0 {
		t.Fatalf("got %v, %v", got, err)
	}
}

// What is written in one Commit is there as a whole or not at all.
func TestCommitIsAtomic(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.Commit([]protocols.Record{{Key: "a", Value: []byte("1")}, {Key: "", Value: []byte("2")}}); err == nil {
		t.Fatal("an empty key is stored")
	}
	s.Close()
	if got, err := mustOpen(t, dir).Load(); err != nil || len(got) != 0 {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestPlaceOfTheDatabase(t *testing.T) {
	link := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(link, "state.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(link, []byte("alice")); err == nil {
		s.Close()
		t.Error("a folder is opened as a database")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, []byte("alice")); err == nil {
		s.Close()
		t.Error("a text file is opened as a database")
	}
}

// A record that is gone, as when a flipped bit hides it, is missed.
func TestMissingRecordIsNoticed(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	if err := s.Commit([]protocols.Record{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketRecords).Delete([]byte("a")) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}
