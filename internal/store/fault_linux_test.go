package store

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"frostfed/protocols"
)

// faulty is a store over a file whose descriptor the test can spoil.
type faulty struct {
	*Store
	t    *testing.T
	dir  string
	file *os.File
	want map[string]string // what was acknowledged
}

func newFaulty(t *testing.T, dir string) *faulty {
	t.Helper()
	f := &faulty{t: t, dir: dir, want: make(map[string]string)}
	s, err := openWith(dir, []byte("alice"), func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
		f.file, err = os.OpenFile(name, flag, mode)
		return f.file, err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
	t.Cleanup(func() { s.Close() })
	for range 20 {
		if err := f.write(100); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// write commits one record more.
func (f *faulty) write(size int) error {
	key, value := fmt.Sprintf("k/%04d", len(f.want)), fmt.Sprintf("%0*d", size, len(f.want))
	err := f.Commit([]protocols.Record{{Key: key, Value: []byte(value)}})
	if err == nil {
		f.want[key] = value
	}
	return err
}

// over checks that the store refuses all that comes after a failure, also once the
// disk is well again, and that its folder holds what was acknowledged, no less.
func (f *faulty) over(first error, heal func()) {
	f.t.Helper()
	if first == nil {
		f.t.Fatal("the fault was not noticed")
	}
	heal()
	if err := f.write(1); err == nil {
		f.t.Error("a store that has failed goes on")
	}
	if err := f.SavePeer("bob", []byte("x")); err == nil {
		f.t.Error("a store that has failed goes on for peers")
	}
	f.Close()
	s, err := Open(f.dir, []byte("alice"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer s.Close()
	got := loaded(f.t, s)
	for key, value := range f.want {
		if got[key] != value {
			f.t.Errorf("%s is lost", key)
		}
	}
}

func loaded(t *testing.T, s *Store) map[string]string {
	t.Helper()
	records, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, r := range records {
		out[r.Key] = string(r.Value)
	}
	return out
}

// The descriptor is made one of /dev/null: writes succeed, and fdatasync fails.
func TestM19FailedSync(t *testing.T) {
	f := newFaulty(t, t.TempDir())
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(f.file.Fd())
	kept, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	err = f.write(100)
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v", err)
	}
	f.over(err, func() {
		if err := errors.Join(unix.Dup3(kept, fd, unix.O_CLOEXEC), unix.Close(kept)); err != nil {
			t.Fatal(err)
		}
	})
}

// The descriptor cannot be written to, as after a remount read-only.
func TestM19FailedWrite(t *testing.T) {
	f := newFaulty(t, t.TempDir())
	fd := int(f.file.Fd())
	kept, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	readOnly, err := os.Open(filepath.Join(f.dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if err := unix.Dup3(int(readOnly.Fd()), fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	err = f.write(100)
	if !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
	f.over(err, func() {
		if err := errors.Join(unix.Dup3(kept, fd, unix.O_CLOEXEC), unix.Close(kept)); err != nil {
			t.Fatal(err)
		}
	})
}

// A limit on the size of files lets a write end in the middle.
func TestM19ShortWrite(t *testing.T) {
	f := newFaulty(t, t.TempDir())
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	info, err := f.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: uint64(info.Size())/2 + 1000, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	for err = nil; err == nil; {
		err = f.write(5000)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v", err)
	}
	f.over(err, restore)
}

func TestM19DiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("needs the right to mount a small tmpfs (root, or a user namespace): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	f := newFaulty(t, filepath.Join(dir, "state"))
	var err error
	for err == nil {
		err = f.write(5000)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	f.over(err, func() {
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever byte of the file is flipped, what is loaded is the truth, or an error;
// if the newest of the two meta pages is hit, the truth of one commit before.
func TestM19FlippedByte(t *testing.T) {
	f := newFaulty(t, t.TempDir())
	before := maps.Clone(f.want)
	if err := f.write(100); err != nil {
		t.Fatal(err)
	}
	f.Close()
	path := filepath.Join(f.dir, "state.db")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var refused, unharmed, older int
	// Opening writes, so each byte takes milliseconds: some of all, and more of the
	// two meta pages at the beginning.
	var at []int
	for i := 0; i < len(sound); i += 101 {
		at = append(at, i)
	}
	for i := range 96 / 5 {
		at = append(at, 5*i, os.Getpagesize()+5*i)
	}
	for _, i := range at {
		damaged := append([]byte(nil), sound...)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var records []protocols.Record
		s, err := Open(f.dir, []byte("alice"))
		if err == nil {
			records, err = s.Load()
			s.Close()
		}
		got := make(map[string]string)
		for _, r := range records {
			got[r.Key] = string(r.Value)
		}
		switch {
		case err != nil:
			refused++
		case maps.Equal(got, f.want):
			unharmed++
		case maps.Equal(got, before) && i < 2*os.Getpagesize():
			older++
		default:
			t.Errorf("byte %d: %d records are loaded, %d were stored", i, len(got), len(f.want))
		}
	}
	t.Logf("%d refused, %d unharmed, %d a commit older", refused, unharmed, older)
	if refused == 0 || unharmed == 0 || older == 0 {
		t.Error("too little was damaged")
	}
}
