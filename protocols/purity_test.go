package protocols_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The core is pure: what the simulator proves is what the daemon runs only if no
// machine has a clock, a goroutine or a disk of its own.
var (
	pureFolders = []string{"crypto", "protocols", "evidence", "federation", "bitcoin", "policy"}
	// Below bitcoin/chain lies the shell: it talks to nodes.
	shellFolders = []string{"bitcoin/chain"}

	impureImports = []string{
		"time", "os", "net", "sync", "context", "log", "math/rand", "crypto/rand", "unsafe", "runtime",
		"github.com/libp2p", "go.etcd.io", "frostfed/p2p", "frostfed/internal", "frostfed/cmd", "frostfed/sim",
	}
)

// A lock around a library that shares state between calls decides nothing.
var impureButNeeded = map[string]string{"crypto/rfc9591": "sync"}

func isBelow(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// sources calls f for each Go file of the module but tests, with its folder
// relative to the root.
func sources(t *testing.T, f func(dir string, set *token.FileSet, file *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(rel), set, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func imports(file *ast.File) []string {
	var out []string
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		out = append(out, path)
	}
	return out
}

func TestCoreIsPure(t *testing.T) {
	checked := 0
	sources(t, func(dir string, set *token.FileSet, file *ast.File) {
		if !isBelow(dir, pureFolders) || isBelow(dir, shellFolders) || strings.HasSuffix(dir, "vectortest") {
			return
		}
		checked++
		for _, path := range imports(file) {
			if isBelow(path, impureImports) && path != impureButNeeded[dir] {
				t.Errorf("%s imports %s", set.Position(file.Pos()).Filename, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			what := ""
			switch n.(type) {
			case *ast.GoStmt:
				what = "a go statement"
			case *ast.SelectStmt:
				what = "a select statement"
			case *ast.ChanType:
				what = "a channel"
			case *ast.SendStmt:
				what = "a channel send"
			}
			if what != "" {
				t.Errorf("%s holds %s", set.Position(n.Pos()), what)
			}
			return true
		})
	})
	if checked < 10 {
		t.Errorf("only %d files checked: the walk is broken", checked)
	}
}

// Machines meet as bytes inside federation and never import each other.
func TestImportDirection(t *testing.T) {
	sources(t, func(dir string, set *token.FileSet, file *ast.File) {
		for _, path := range imports(file) {
			target, ours := strings.CutPrefix(path, "frostfed/")
			if !ours {
				continue
			}
			bad := false
			switch {
			case isBelow(dir, []string{"crypto"}):
				bad = !isBelow(target, []string{"crypto"})
			case isBelow(dir, []string{"protocols"}):
				bad = target != "protocols" && !isBelow(target, []string{"crypto", "bitcoin", dir})
			case isBelow(dir, []string{"bitcoin"}):
				bad = !isBelow(target, []string{"bitcoin", "crypto"})
			case dir == "evidence":
				bad = !isBelow(target, []string{"crypto", "protocols"})
			case dir == "policy":
				bad = !isBelow(target, []string{"bitcoin", "crypto"})
			case isBelow(target, []string{"cmd", "sim"}):
				bad = !isBelow(dir, []string{"cmd", "sim", "test"})
			}
			if bad {
				t.Errorf("%s must not import %s", set.Position(file.Pos()).Filename, path)
			}
		}
	})
}
