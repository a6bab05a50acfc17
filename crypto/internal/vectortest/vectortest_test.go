package vectortest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFolderFromVariable(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(variable, dir)
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(`{"cases":[1,2]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var v struct{ Cases []int }
	Load(t, "x.json", "00", &v) // another folder: the pinned hash is not asserted
	if len(v.Cases) != 2 {
		t.Fatalf("got %d cases, want 2", len(v.Cases))
	}
	Count(t, "x.json", len(v.Cases), 99)
}

func TestAbsentFolderSkips(t *testing.T) {
	t.Setenv(variable, filepath.Join(t.TempDir(), "absent"))
	skipped := false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		Read(t, "x.json", "00")
	})
	if !skipped {
		t.Fatal("test without vectors was not skipped")
	}
}

func TestDefaultFolderIsPinned(t *testing.T) {
	t.Setenv(variable, "")
	dir, pinned := folder(t)
	if !pinned || filepath.Base(dir) != "vectors" {
		t.Fatalf("folder = %s, pinned %v", dir, pinned)
	}
}
