package keystore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	phrase = []byte("correct horse battery")
	seed   = bytes.Repeat([]byte{0x5e}, seedSize)
)

func create(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := Create(dir, seed, phrase, WorkFast); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRoundTrip(t *testing.T) {
	dir := create(t)
	got, err := Open(dir, phrase)
	if err != nil || !bytes.Equal(got, seed) {
		t.Fatalf("got %x, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil || bytes.Contains(stored, seed) || bytes.Contains(stored, []byte(hex.EncodeToString(seed))) {
		t.Fatal("the seed stands in clear in the file")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("temporary files left: %v, %v", left, err)
	}
}

func TestNeverOverwrites(t *testing.T) {
	dir := create(t)
	if err := Create(dir, bytes.Repeat([]byte{1}, seedSize), phrase, WorkFast); !errors.Is(err, ErrExists) {
		t.Fatalf("got %v", err)
	}
	if got, err := Open(dir, phrase); err != nil || !bytes.Equal(got, seed) {
		t.Fatalf("the old seed is gone: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	rows := []struct {
		name  string
		spoil func(dir string) error
		want  error
	}{
		{"missing", func(dir string) error { return os.Remove(filepath.Join(dir, FileName)) }, ErrMissing},
		{"open file", func(dir string) error { return os.Chmod(filepath.Join(dir, FileName), 0o640) }, ErrMode},
		{"open folder", func(dir string) error { return os.Chmod(dir, 0o750) }, ErrMode},
		{"link", func(dir string) error {
			path := filepath.Join(dir, FileName)
			if err := os.Rename(path, path+".away"); err != nil {
				return err
			}
			return os.Symlink(path+".away", path)
		}, ErrMode},
		{"truncated", func(dir string) error { return os.Truncate(filepath.Join(dir, FileName), 100) }, ErrDamaged},
		{"empty", func(dir string) error { return os.Truncate(filepath.Join(dir, FileName), 0) }, ErrDamaged},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			dir := create(t)
			if err := r.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, phrase); !errors.Is(err, r.want) {
				t.Fatalf("got %v, want %v", err, r.want)
			}
		})
	}
}

func TestWrongPassphrase(t *testing.T) {
	_, err := Open(create(t), []byte("wrong horse battery"))
	if !errors.Is(err, ErrPassphrase) || strings.Contains(err.Error(), "horse") {
		t.Fatalf("got %v", err)
	}
}

func TestReadPassphrase(t *testing.T) {
	for _, r := range []struct {
		in, want string
		ok       bool
	}{
		{"hunter2 hunter2\n", "hunter2 hunter2", true},
		{"first\r\nsecond\n", "first", true},
		{"no newline", "no newline", true},
		{"\n", "", false},
		{strings.Repeat("x", maxPhrase+1), "", false},
	} {
		got, err := ReadPassphrase(strings.NewReader(r.in))
		if (err == nil) != r.ok || string(got) != r.want {
			t.Errorf("%.20q: got %q, %v", r.in, got, err)
		}
	}
}
