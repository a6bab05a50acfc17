package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tester is tested: whoever breaks a rule, in the driver or in the code that
// the daemon runs, must be noticed, by an invariant that the rule is there for.
//
//	go test ./sim -run '^TestMutants$' -full -v

// mostSeeds is how many worlds a mutant may survive.
const mostSeeds = 400

// TestDriverMutants breaks the rules of package protocols for drivers.
func TestDriverMutants(t *testing.T) {
	for _, test := range []struct {
		name   string
		mutant Mutant
		by     []string
	}{
		{"speak before commit", SpeakFirst, []string{"I2", "I3", "I5", "I6"}},
		{"start with an empty disk", Amnesia, []string{"I1", "I3", "I5", "I6", "coins"}},
		{"draw the same randomness again", SameRandomness, []string{"I2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 60; seed++ {
				var v *Violation
				if !errors.As(Run(seed, Options{Mutant: test.mutant}).Err, &v) {
					continue
				}
				if slices.Contains(test.by, v.Invariant) {
					t.Logf("noticed with seed %d: %v", seed, v)
					return
				}
				t.Logf("seed %d: %v", seed, v)
			}
			t.Error("not noticed")
		})
	}
}

// patch replaces a piece of a source file that occurs there exactly once.
type patch struct{ file, from, to string }

// mutant is a broken version of the code.
type mutant struct {
	name    string
	by      string // the invariants that may notice it
	knobs   string // of its worlds: what it takes to notice it at all
	seed    uint64 // with which it is noticed; without -full the search begins here
	quick   bool   // also without -full
	patches []patch
}

var mutants = []mutant{
	{name: "two keys: broadcast delivers at once, certificates and proofs of broadcasts are not checked", by: "I1 I6", seed: 99, patches: []patch{
		{"protocols/quorum.go", "return (n+MaxFaulty(n))/2 + 1", "return 1"},
		{"protocols/quorum.go", "return 2*MaxFaulty(n) + 1", "return 1"},
		{"crypto/chilldkg/recover.go", "if id := certEq.culprit(params, eqInput, cert); id >= 0 {", "if id := certEq.culprit(params, eqInput, cert); id >= 1000 {"},
	}},
	{name: "the chain code is each member's own", by: "I1", quick: true, seed: 1, patches: []patch{
		{"federation/keys.go", "bitcoin.ChainCode(c.id, threshPK)", "bitcoin.ChainCode([32]byte{byte(c.index)}, threshPK)"},
	}},
	{name: "a pair of nonces stays in the pool when it is used, and in memory", by: "I2", quick: true, knobs: "N=4,T=3,Adversaries=coordinator,Forget=0", seed: 8, patches: []patch{
		{"protocols/frost/sign/pool.go", "secrets = append(secrets, s)\n\t\tdelete(p.secrets, index)\n\t\tat, _ := slices.BinarySearch(p.live, index)\n\t\tp.live = slices.Delete(p.live, at, at+1)",
			"secrets = append(secrets, s)"},
		{"protocols/frost/sign/signer.go", "\t\tdefer wipeAll(secrets)\n", ""},
		{"crypto/bip445/nonce.go", "\tn.Wipe()\n\tif k1.IsZero()", "\tif k1.IsZero()"},
	}},
	{name: "handles of pairs are given out twice", by: "I2", seed: 1, patches: []patch{
		{"protocols/frost/sign/pool.go", "m.issued[to].next += uint64(count)", "m.issued[to].next += uint64(count) / 2"},
	}},
	{name: "what a request pays is not compared with the list", by: "I3", quick: true, seed: 3, patches: []patch{
		{"policy/payout.go", "\t\tcompare(built, p.Tx),\n", ""},
	}},
	{name: "approvals are not stored", by: "I3", seed: 1, patches: []patch{
		{"federation/validate.go", "c.saveVerdict(out, r)\n\tout.Out", "out.Out"},
	}},
	{name: "polynomials are of one degree less", by: "I4", quick: true, seed: 1, patches: []patch{
		{"crypto/chilldkg/participant.go", "coeffs[k], err = secp.ScalarFromHash(a)\n", "coeffs[k], err = secp.ScalarFromHash(a)\n\t\tif k > 0 && k == len(coeffs)-1 {\n\t\t\tcoeffs[k] = secp.Scalar{}\n\t\t}\n"},
	}},
	{name: "promised coins are promised again", by: "I3 I5", seed: 72, patches: []patch{
		{"policy/payout.go", "\t\tcheckPromises(coins, built.TxID()),\n", ""},
		{"policy/payout.go", "plan, coins, verdict := planPayout(cfg, v, p)\n\tif !verdict.Allow {\n\t\treturn verdict, nil", "plan, _, verdict := planPayout(cfg, v, p)\n\tif !verdict.Allow {\n\t\treturn verdict, nil"},
	}},
	{name: "the next coordinator waits for ever", by: "I5", seed: 110, patches: []patch{
		{"protocols/frost/sign/request.go", "at += m.cfg.Delta", "at += 1 << 40"},
	}},
	{name: "nobody is excluded for silence", by: "I5", quick: true, seed: 33, patches: []patch{
		{"protocols/frost/dkg/exclude.go", "m.accuse(now, s, VoteSilent, silent, e)", "_ = silent"},
	}},
	{name: "complaints are believed", by: "I6", knobs: "N=4,T=3,Adversaries=complainer,Early=true,Adaptive=false,Forget=0", quick: true, seed: 1, patches: []patch{
		{"protocols/frost/dkg/suite.go", "return chilldkg.Judge(c.SessionParams, id, author, complaint, dealing)",
			"_, accused, err := chilldkg.ComplaintParties(c.SessionParams, complaint)\n\treturn accused, err"},
	}},
	{name: "one vote excludes", by: "I6", seed: 65, patches: []patch{
		{"protocols/frost/dkg/exclude.go", "if countVotes(votes) >= m.quorum() {\n\t\t\tout", "if countVotes(votes) >= 1 {\n\t\t\tout"},
	}},
	{name: "broadcast delivers what one member echoes", by: "I1 I3 I5 I6", seed: 99, patches: []patch{
		{"protocols/quorum.go", "return (n+MaxFaulty(n))/2 + 1", "return 1"},
		{"protocols/quorum.go", "return 2*MaxFaulty(n) + 1", "return 1"},
	}},
	{name: "each frame leaves a record", by: "I7", quick: true, seed: 1, patches: []patch{
		{"federation/core.go", "c.fromAcked(now, &out, c.acked.Step(now, from, protocol, frame))",
			"c.fromAcked(now, &out, c.acked.Step(now, from, protocol, frame))\n\tout.Persist = append(out.Persist, protocols.Record{Key: \"log/\" + string(frame), Value: make([]byte, 1<<14)})"},
	}},
	{name: "the share is stored", by: "I8", quick: true, seed: 1, patches: []patch{
		{"federation/keys.go", "c.watchAhead(k)\n\t\tc.saveKey(out, k)\n\t}\n\tif k.active", "c.watchAhead(k)\n\t\tc.saveKey(out, k)\n\t\tout.Persist = append(out.Persist, protocols.Record{Key: \"log/share\", Value: append([]byte{1}, event.SecShare.Bytes()...)})\n\t}\n\tif k.active"},
	}},
	{name: "HELLO names the host secret", by: "I8", seed: 1, patches: []patch{
		{"federation/notice.go", "b.AddUint32(uint32(tip.Height))\n\tb.AddBytes(tip.Hash[:])", "b.AddUint32(uint32(tip.Height))\n\tsecret := c.cfg.Host.Secret()\n\tb.AddBytes(secret[:])"},
	}},
}

// build makes the test binary of this package with the mutant in it.
func (m *mutant) build(t *testing.T, root, dir string) (string, error) {
	t.Helper()
	sources := make(map[string]string)
	for _, p := range m.patches {
		path := filepath.Join(root, p.file)
		source, ok := sources[path]
		if !ok {
			raw, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			source = string(raw)
		}
		if n := strings.Count(source, p.from); n != 1 {
			return "", fmt.Errorf("%s has %d times what the mutant %q replaces: %q", p.file, n, m.name, p.from)
		}
		sources[path] = strings.Replace(source, p.from, p.to, 1)
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for path, source := range sources {
		changed := filepath.Join(dir, strconv.Itoa(len(overlay.Replace))+".go")
		if err := os.WriteFile(changed, []byte(source), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[path] = changed
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutant.test")
	if err := os.WriteFile(list, raw, 0o600); err != nil {
		return "", err
	}
	build := exec.Command("go", "test", "-c", "-overlay", list, "-o", binary, "./sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

var brokenLine = regexp.MustCompile(`(?m)^seed (\d+): (\S+) at \d+ ms: (.*)$`)

// TestMutants breaks the code of the daemon. Some mutants with the seeds that are
// known to show them; with -full all, from the first seed on.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds this package again and again")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for i := range mutants {
		m := &mutants[i]
		t.Run(m.name, func(t *testing.T) {
			if !m.quick && !*full {
				t.Skip("-full runs it")
			}
			begin := time.Now()
			binary, err := m.build(t, root, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			from := uint64(1)
			if !*full && m.seed > 0 {
				from = m.seed
			}
			run := exec.Command(binary, "-test.run=^TestSeeds$", fmt.Sprintf("-start=%d", from), fmt.Sprintf("-seeds=%d", mostSeeds),
				"-knobs="+m.knobs, "-twice=0", "-first", "-test.timeout=0")
			out, err := run.CombinedOutput()
			lines := brokenLine.FindAllStringSubmatch(string(out), -1)
			if err == nil || len(lines) == 0 {
				t.Fatalf("survived %d seeds\n%s", mostSeeds, out)
			}
			// Both processors ran on until the first of them failed.
			slices.SortFunc(lines, func(a, b []string) int { return len(a[1]) - len(b[1]) + strings.Compare(a[1], b[1]) })
			seed, invariant, detail := lines[0][1], lines[0][2], lines[0][3]
			if !slices.Contains(strings.Fields(m.by), invariant) {
				t.Errorf("seed %s breaks %s, not %s: %s", seed, invariant, m.by, detail)
			}
			t.Logf("%-3s seed %4s, %4.0f s: %s", invariant, seed, time.Since(begin).Seconds(), detail)
		})
	}
}
