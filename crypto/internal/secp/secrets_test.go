//go:build !toygroup

package secp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vartimeUses lists every file of the crypto packages that uses Vartime
// functions of this package: which ones, sorted, and why their inputs are
// public. A new use means a new review.
var vartimeUses = map[string]struct{ functions, reason string }{
	"bip445/session.go":         {"MulVartime TripleMulVartime", "nonce points, public shares and partial signatures as received"},
	"bip445/set.go":             {"MultiMulVartime", "public shares and Lagrange coefficients"},
	"bip445/threshold.go":       {"MultiMulVartime", "public shares, weights from a public hash"},
	"bip445/tweak.go":           {"BaseMulVartime", "tweaks of a public derivation path"},
	"chilldkg/aggregate.go":     {"BaseMulVartime", "the public Taproot tweak"},
	"chilldkg/participant.go":   {"BaseMulVartime", "the public Taproot tweak"},
	"chilldkg/poly.go":          {"MulSmallVartime", "public commitments at participant ids"},
	"internal/secp/batch.go":    {"MultiMulVartime", "signatures as received"},
	"internal/secp/dleq.go":     {"MultiMulVartime", "proof and points as received"},
	"internal/secp/msm.go":      {"BaseMulVartime MulVartime", "part of a multiplication of public data"},
	"internal/secp/schnorr.go":  {"DoubleMulVartime", "signature and key as received"},
	"internal/shamir/shamir.go": {"InverseVartime", "products of participant ids"},
}

// libraries that multiply in variable time or that only this package may use.
var forbiddenImports = []string{
	"gitlab.com/yawning/secp256k1-voi",
	"github.com/btcsuite/btcd/btcec",
	"github.com/decred/dcrd/dcrec/secp256k1",
	"github.com/bytemare/",
	"github.com/consensys/gnark-crypto",
	"crypto/elliptic",
	"math/big",
}

// otherCurves says whether a file may import a library for curves other than the
// federation's: crypto/rfc9591, whose doc.go says how constant its time is.
func otherCurves(rel, imported string) bool {
	return strings.HasPrefix(rel, "rfc9591/") && strings.HasPrefix(imported, "github.com/bytemare/")
}

// TestSecretsAreMultipliedInConstantTime reads the sources of all crypto
// packages: public multiplications are the listed ones, and no file reaches for
// curve arithmetic elsewhere.
func TestSecretsAreMultipliedInConstantTime(t *testing.T) {
	root := filepath.Join("..", "..")
	used := make(map[string]string)
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if imported == forbiddenImports[0] && strings.HasPrefix(rel, "internal/secp/") {
				continue
			}
			for _, f := range forbiddenImports {
				if strings.HasPrefix(imported, f) && !otherCurves(rel, imported) {
					t.Errorf("%s imports %s; curve arithmetic is frostfed/crypto/internal/secp", rel, imported)
				}
			}
		}
		used[rel] = vartimeFunctions(file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < len(vartimeUses) {
		t.Fatalf("read only %d files", files)
	}
	for _, rel := range slices.Sorted(maps.Keys(used)) {
		if reviewed := vartimeUses[rel].functions; used[rel] != reviewed {
			t.Errorf("%s uses Vartime functions [%s], reviewed are [%s]: see vartimeUses", rel, used[rel], reviewed)
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(vartimeUses)) {
		if _, ok := used[rel]; !ok {
			t.Errorf("%s is listed in vartimeUses and does not exist", rel)
		}
	}
}

// vartimeFunctions returns the sorted names of the functions and methods of this
// package ending in Vartime that a file uses, called or as values.
func vartimeFunctions(file *ast.File) string {
	found, declared := make(map[string]bool), make(map[*ast.Ident]bool)
	ast.Inspect(file, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.FuncDecl:
			declared[x.Name] = true // a name being declared is not a use
		case *ast.Ident:
			if !declared[x] && slices.Contains(ownVartime, x.Name) {
				found[x.Name] = true
			}
		}
		return true
	})
	return strings.Join(slices.Sorted(maps.Keys(found)), " ")
}

var ownVartime = []string{"BaseMulVartime", "MulVartime", "MulSmallVartime", "DoubleMulVartime", "TripleMulVartime", "MultiMulVartime", "InverseVartime"}

// TestEveryVartimeFunctionIsWatched fails if this package gains one that the
// test above does not know.
func TestEveryVartimeFunctionIsWatched(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasSuffix(f.Name.Name, "Vartime") {
				found[f.Name.Name] = true
			}
		}
	}
	got := slices.Sorted(maps.Keys(found))
	if want := slices.Sorted(slices.Values(ownVartime)); !slices.Equal(got, want) {
		t.Errorf("Vartime functions are %v, watched are %v", got, want)
	}
}

// TestVartimeUsesAreFound shows the test above what it must catch.
func TestVartimeUsesAreFound(t *testing.T) {
	for source, want := range map[string]string{
		"func f() { secp.MulVartime(secret, p) }":          "MulVartime",
		"func f() { g := secp.BaseMulVartime; g(secret) }": "BaseMulVartime",
		"var inverse = secp.Scalar.InverseVartime":         "InverseVartime",
		"func f() { secp.SecretMul(secret, p) }":           "",
		"func MulVartime() {}":                             "",
		"func MulVartime() { DoubleMulVartime() }":         "DoubleMulVartime",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := vartimeFunctions(file); got != want {
			t.Errorf("%s: found [%s], want [%s]", source, got, want)
		}
	}
}
