// Package keystore keeps a member's seed, encrypted with a passphrase (age,
// scrypt), in a folder that nobody else can read. Every secret of the member
// follows from the seed; key shares follow from the host secret and the public
// recovery data, so they are stored nowhere.
package keystore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// FileName says what it is and what losing it costs.
	FileName = "seed.age"

	header      = "frostfed seed 1\n"
	seedSize    = 32
	maxFile     = 16 << 10
	maxPhrase   = 1 << 10
	minPhrase   = 8
	WorkDefault = 18 // scrypt 2^18: about a second
	WorkFast    = 10 // for throw-away keys of demos and tests
)

// Errors that callers act on.
var (
	ErrExists     = errors.New("a seed is already there")
	ErrMissing    = errors.New("no seed in this folder")
	ErrPassphrase = errors.New("the passphrase does not open the seed")
	ErrMode       = errors.New("others can read the key folder")
	ErrDamaged    = errors.New("the seed file is damaged")
)

// Create encrypts seed (32 bytes) into dir/seed.age. It never overwrites.
func Create(dir string, seed, passphrase []byte, workFactor int) error {
	if len(seed) != seedSize {
		return fmt.Errorf("create seed file: %d bytes, want %d", len(seed), seedSize)
	}
	if len(passphrase) < minPhrase {
		return fmt.Errorf("create seed file: the passphrase has %d characters; use at least %d", len(passphrase), minPhrase)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create key folder: %w", err)
	}
	if err := checkMode(dir, true); err != nil {
		return err
	}
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return fmt.Errorf("create seed file: %w", err)
	}
	recipient.SetWorkFactor(workFactor)

	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, recipient)
	if err != nil {
		return fmt.Errorf("encrypt seed: %w", err)
	}
	plain := []byte(header + hex.EncodeToString(seed) + "\n")
	defer clear(plain)
	if _, err := w.Write(plain); err != nil {
		return fmt.Errorf("encrypt seed: %w", err)
	}
	if err := errors.Join(w.Close(), text.Close()); err != nil {
		return fmt.Errorf("encrypt seed: %w", err)
	}
	return writeNew(dir, out.Bytes())
}

// Open decrypts the seed. The caller wipes it after deriving the keys.
func Open(dir string, passphrase []byte) ([]byte, error) {
	if err := checkMode(dir, true); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	if err := checkMode(path, false); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open seed file: %w", err)
	}
	defer f.Close()
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, ErrPassphrase
	}
	r, err := age.Decrypt(armor.NewReader(io.LimitReader(f, maxFile)), identity)
	if noMatch := new(age.NoIdentityMatchError); errors.As(err, &noMatch) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxFile))
	defer clear(plain)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	rest, ok := bytes.CutPrefix(plain, []byte(header))
	if !ok || len(rest) != 2*seedSize+1 || rest[2*seedSize] != '\n' {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	seed := make([]byte, seedSize)
	if _, err := hex.Decode(seed, rest[:2*seedSize]); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	return seed, nil
}

// Exists says whether dir holds a seed file.
func Exists(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, FileName))
	return err == nil
}

// ReadPassphrase reads one line from r: a passphrase file or an inherited
// descriptor.
func ReadPassphrase(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPhrase+1))
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	if len(b) > maxPhrase {
		return nil, fmt.Errorf("read passphrase: longer than %d bytes", maxPhrase)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	clear(b)
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return nil, errors.New("read passphrase: the first line is empty")
	}
	return []byte(line), nil
}

// checkMode refuses what others can read, and links that lead elsewhere.
func checkMode(path string, dir bool) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return fmt.Errorf("open key folder: %w", err)
	}
	want, kind := fs.FileMode(0o600), "file"
	if dir {
		want, kind = 0o700, "folder"
	}
	if info.IsDir() != dir || (!dir && !info.Mode().IsRegular()) {
		return fmt.Errorf("%w: %s is not a plain %s", ErrMode, path, kind)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s has mode %04o; run: chmod %o %s", ErrMode, path, info.Mode().Perm(), want, path)
	}
	return nil
}

// writeNew writes beside, syncs, and links into place, so that a crash leaves
// either nothing or the whole file, and an existing seed is never replaced.
func writeNew(dir string, body []byte) error {
	tmp, err := os.CreateTemp(dir, ".seed-*")
	if err != nil {
		return fmt.Errorf("write seed file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(body)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write seed file: %w", err)
	}
	path := filepath.Join(dir, FileName)
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s; move it away first if you are sure that nobody needs it", ErrExists, path)
	} else if err != nil {
		return fmt.Errorf("write seed file: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write seed file: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("write seed file: %w", err)
	}
	return nil
}
