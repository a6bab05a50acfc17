package node

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"frostfed/test/alloc"
)

// FuzzConfig: a configuration that is accepted is written and read again the same.
func FuzzConfig(f *testing.F) {
	for _, cfg := range []Config{testConfig("alice"), DefaultConfig("bob", "mainnet")} {
		text, err := cfg.Text()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("name = 1"))
	f.Add([]byte("[policy]\nfee_min = 99999999999999999999"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		load := func(text []byte) (cfg Config, err error) {
			if err := os.WriteFile(filepath.Join(dir, configFile), text, 0o600); err != nil {
				t.Fatal(err)
			}
			alloc.Limit(t, len(text), 1024, 1<<20, func() { cfg, err = LoadConfig(dir) })
			return cfg, err
		}
		cfg, err := load(text)
		if err != nil {
			if !errors.Is(err, ErrConfig) && len(text) <= maxConfigFile {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := cfg.Text()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := load(again); err != nil || !reflect.DeepEqual(same, cfg) {
			t.Fatalf("read %+v, wrote\n%s\nand read %+v, %v", cfg, again, same, err)
		}
	})
}
