// Package node assembles a member from its data folder: configuration, charter,
// keys, database, network, chain backend and daemon. The command 'run' starts one
// of them, the demo five.
package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"frostfed/crypto/memberkey"
	"frostfed/internal/keystore"
	"frostfed/protocols/membership"
)

// Files of a data folder.
const (
	configFile  = "config.toml"
	charterFile = "charter.toml"
	keysDir     = "keys"
	stateDir    = "state"
	neutrinoDir = "neutrino"
	socketFile  = "frostfed.sock"
)

const maxCharterFile = 512 << 10

// Errors about data folders.
var (
	ErrInitialized = errors.New("this folder holds a member already")
	ErrNoCharter   = errors.New("the federation has no charter yet")
	ErrCharterUsed = errors.New("this member already belongs to a federation")
)

// Dir is the data folder of a member.
type Dir string

// Socket is where the running daemon can be asked.
func (d Dir) Socket() string { return filepath.Join(string(d), socketFile) }

// ConfigPath is the configuration file.
func (d Dir) ConfigPath() string { return filepath.Join(string(d), configFile) }

func (d Dir) charterPath() string { return filepath.Join(string(d), charterFile) }
func (d Dir) keys() string        { return filepath.Join(string(d), keysDir) }
func (d Dir) state() string       { return filepath.Join(string(d), stateDir) }
func (d Dir) neutrino() string    { return filepath.Join(string(d), neutrinoDir) }

// Init makes the data folder of a new member: a fresh seed, encrypted with the
// passphrase, and the configuration. It changes nothing that is already there.
func Init(dir Dir, cfg Config, passphrase []byte, workFactor int) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if keystore.Exists(dir.keys()) {
		return fmt.Errorf("%w: %s; its seed is never overwritten: choose another folder", ErrInitialized, dir)
	}
	if _, err := os.Lstat(dir.ConfigPath()); err == nil {
		return fmt.Errorf("%w: %s exists; choose another folder", ErrInitialized, dir.ConfigPath())
	}
	text, err := cfg.Text()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	seed := make([]byte, memberkey.SeedSize)
	defer clear(seed)
	if _, err := rand.Read(seed); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	// The seed last: a folder with a seed is a member.
	if err := writeFile(dir.ConfigPath(), text); err != nil {
		return err
	}
	if err := keystore.Create(dir.keys(), seed, passphrase, workFactor); err != nil {
		return errors.Join(err, os.Remove(dir.ConfigPath()))
	}
	return nil
}

// OpenKeys decrypts the seed and derives the member's keys.
func (d Dir) OpenKeys(passphrase []byte) (*memberkey.Keys, error) {
	seed, err := keystore.Open(d.keys(), passphrase)
	if errors.Is(err, keystore.ErrMissing) {
		return nil, fmt.Errorf("%w; make a member with 'frostfed init --dir %s'", err, d)
	}
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	return memberkey.Derive(seed, 0)
}

// Card makes the member's card, with the addresses of its configuration.
func Card(keys *memberkey.Keys, cfg Config, now time.Time) (*membership.Card, error) {
	addrs := append([]string{}, cfg.Announce...)
	for _, a := range cfg.Listen {
		if !unspecified(a) && !strings.HasSuffix(a, "/tcp/0") { // the others cannot dial those
			addrs = append(addrs, a)
		}
	}
	return membership.NewCard(keys, cfg.Name, uint64(now.Unix()), addrs[:min(len(addrs), 8)], randomAux)
}

func randomAux() (out [32]byte) {
	rand.Read(out[:]) // never fails: the runtime ends the process instead
	return out
}

// Charter reads the charter of the federation this member belongs to.
func (d Dir) Charter() (*membership.Charter, error) {
	text, err := readLimited(d.charterPath(), maxCharterFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; exchange cards ('frostfed card'), then run 'frostfed charter new' or 'frostfed charter adopt FILE'", ErrNoCharter)
	}
	if err != nil {
		return nil, fmt.Errorf("read charter: %w", err)
	}
	return membership.ParseCharter(text)
}

// Adopt makes this member a member of the charter's federation, for good.
func (d Dir) Adopt(charter *membership.Charter) error {
	if old, err := d.Charter(); err == nil {
		if old.ID() == charter.ID() {
			return nil
		}
		return fmt.Errorf("%w: %s (%s); one data folder serves one federation", ErrCharterUsed, old.Name, old.ID())
	}
	text, err := charter.Text()
	if err != nil {
		return err
	}
	return writeFile(d.charterPath(), text)
}

// writeFile writes a file that is either absent or whole, never over another.
func writeFile(path string, body []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(body)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Link(tmp.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
