// Package vectortest gives the tests of the crypto packages their test vectors.
//
// The vectors live outside the module, in the folder named by the environment
// variable FROSTFED_VECTORS or, without it, in ../shared/vectors beside the
// module root. In the default folder every file must have its pinned SHA-256
// and every test must have run exactly the cases it says, so that neither a
// changed file nor a skipped loop can pass unseen. A folder named by the
// variable may hold other vectors of the same schema: hashes and counts are
// then printed and not asserted.
package vectortest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

const variable = "FROSTFED_VECTORS"

// Read returns the bytes of the vector file with the slash-separated name,
// relative to the vectors folder ("bip340/test-vectors.csv"). sha256hex is its
// pinned hash. The test is skipped, saying what it needs, if the folder does
// not exist; a missing or changed file in an existing folder fails it.
func Read(t testing.TB, name, sha256hex string) []byte {
	t.Helper()
	dir, pinned := folder(t)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED: %s needs the test vectors in %s (or in the folder named by %s)", name, dir, variable)
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatalf("read vectors: %v", err)
	}
	sum := sha256.Sum256(data)
	switch got := hex.EncodeToString(sum[:]); {
	case got == sha256hex:
	case pinned:
		t.Fatalf("vectors: %s: SHA-256 is %s, pinned is %s", name, got, sha256hex)
	default:
		t.Logf("vectors: %s: SHA-256 %s (not the pinned one)", name, got)
	}
	return data
}

// Load decodes the JSON vector file into v as Read finds it. Fields that v does
// not know are ignored; a second JSON value in the file is an error.
func Load(t testing.TB, name, sha256hex string, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(Read(t, name, sha256hex)))
	if err := dec.Decode(v); err != nil {
		t.Fatalf("vectors: decode %s: %v", name, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("vectors: %s: data after the JSON value", name)
	}
}

// Count prints how many cases of the file ran and asserts that it is want (that
// it is not zero, for vectors from the folder named by the variable).
func Count(t testing.TB, name string, ran, want int) {
	t.Helper()
	t.Logf("vectors: %s: %d cases", name, ran)
	_, pinned := folder(t)
	if pinned && ran != want {
		t.Errorf("vectors: %s: ran %d cases, want %d", name, ran, want)
	}
	if ran == 0 {
		t.Errorf("vectors: %s: no case ran", name)
	}
}

// folder returns the vectors folder, and whether it is the default one, for
// which hashes and counts are pinned.
func folder(t testing.TB) (dir string, pinned bool) {
	t.Helper()
	if dir := os.Getenv(variable); dir != "" {
		return dir, false
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatalf("find module root: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, "..", "shared", "vectors"), true
		}
		parent := filepath.Dir(root)
		if parent == root {
			t.Fatal("find module root: no go.mod above the working directory")
		}
		root = parent
	}
}
