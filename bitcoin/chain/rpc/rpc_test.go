package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin/chain"
)

var regtestGenesis = chaincfg.RegressionNetParams.GenesisHash.String()

// fakeNode answers each method with fixed JSON: a result, or an error if it
// starts with "!". It is a Core of the right network unless answers say else.
func fakeNode(t *testing.T, answers map[string]string) *Client {
	t.Helper()
	return fakeServer(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Method string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		answer, ok := answers[request.Method]
		switch {
		case ok && strings.HasPrefix(answer, "!"):
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"result":null,"error":%s,"id":"frostfed"}`, answer[1:])
			return
		case ok:
		case request.Method == "getblockhash":
			answer = `"` + regtestGenesis + `"`
		default:
			answer = `{}`
		}
		fmt.Fprintf(w, `{"result":%s,"error":null,"id":"frostfed"}`, answer)
	})
}

func fakeServer(t *testing.T, cfg Config, handle http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	cfg.URL, cfg.Params = server.URL, &chaincfg.RegressionNetParams
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // never fails
	return c
}

func TestNewRefuses(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	for name, cfg := range map[string]Config{
		"no address":     {Params: params},
		"no scheme":      {Params: params, URL: "127.0.0.1:8332"},
		"other scheme":   {Params: params, URL: "ftp://127.0.0.1:8332"},
		"credentials":    {Params: params, URL: "http://user:hunter2@127.0.0.1:8332"},
		"no network":     {URL: "http://127.0.0.1:8332"},
		"no certificate": {Params: params, URL: "https://127.0.0.1:8332", CertFile: filepath.Join(t.TempDir(), "none")},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
}

func TestReady(t *testing.T) {
	header := `"` + strings.Repeat("00", 80) + `"`
	for _, test := range []struct {
		name    string
		answers map[string]string
		kind    chain.ReadyKind // 0 is ready
	}{
		{"in step", map[string]string{"getblockchaininfo": `{"blocks":5,"headers":5}`}, 0},
		{"validating one block", map[string]string{"getblockchaininfo": `{"blocks":5,"headers":6}`}, 0},
		{"behind", map[string]string{"getblockchaininfo": `{"blocks":5,"headers":7}`}, chain.Syncing},
		{"initial download", map[string]string{"getblockchaininfo": `{"blocks":5,"headers":5,"initialblockdownload":true}`}, chain.Syncing},
		{"warming up", map[string]string{"getblockhash": `!{"code":-28,"message":"Loading block index..."}`}, chain.Syncing},
		{"other network", map[string]string{"getblockhash": `"` + strings.Repeat("ab", 32) + `"`}, chain.WrongNetwork},
		{"nonsense", map[string]string{"getblockhash": `17`}, chain.Unreachable},
		{"header of another block", map[string]string{"getblockheader": header}, chain.Unreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := fakeNode(t, test.answers)
			if test.answers["getblockheader"] != "" {
				c.cfg.MaxTipAge = time.Hour
			}
			err := c.Ready(t.Context())
			var notReady *chain.NotReadyError
			switch {
			case test.kind == 0 && err != nil:
				t.Errorf("not ready: %v", err)
			case test.kind != 0 && (!errors.As(err, &notReady) || notReady.Kind != test.kind || notReady.Detail == ""):
				t.Errorf("got %v, want %v", err, test.kind)
			}
		})
	}
}

func TestTipAge(t *testing.T) {
	genesis := chaincfg.RegressionNetParams.GenesisBlock.Header
	var raw strings.Builder
	if err := genesis.Serialize(hexWriter{&raw}); err != nil {
		t.Fatal(err)
	}
	c := fakeNode(t, map[string]string{
		"getblockchaininfo": `{"blocks":0,"headers":0,"bestblockhash":"` + regtestGenesis + `"}`,
		"getblockheader":    `"` + raw.String() + `"`,
	})
	c.cfg.MaxTipAge = 2 * time.Hour
	for age, ready := range map[time.Duration]bool{time.Hour: true, 3 * time.Hour: false} {
		c.cfg.Now = func() time.Time { return genesis.Timestamp.Add(age) }
		err := c.Ready(t.Context())
		var notReady *chain.NotReadyError
		if ready != (err == nil) || !ready && (!errors.As(err, &notReady) || notReady.Kind != chain.Syncing) {
			t.Errorf("tip %v old: %v", age, err)
		}
	}
}

type hexWriter struct{ w io.Writer }

func (h hexWriter) Write(b []byte) (int, error) {
	_, err := fmt.Fprintf(h.w, "%x", b)
	return len(b), err
}

// TestBadServers: whatever a server does, the call ends soon and the node counts
// as unavailable.
func TestBadServers(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server notices the client's end only then
			<-r.Context().Done()
		},
		"unauthorized": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"busy":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"redirects":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"empty":        func(http.ResponseWriter, *http.Request) {},
		"a web page":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no result":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"null":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"result":null}`) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := fakeServer(t, Config{Timeout: 2 * time.Second}, handle)
			if name == "hangs" {
				c.cfg.Timeout = 50 * time.Millisecond
			}
			if _, err := c.Tip(context.Background()); !errors.Is(err, chain.ErrUnavailable) {
				t.Errorf("tip: %v", err)
			}
		})
	}
}

// TestOtherNodeComesBack: the network is checked again after a failure.
func TestOtherNodeComesBack(t *testing.T) {
	genesis, up := regtestGenesis, true
	c := fakeServer(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"result":%q}`, genesis)
	})
	ask := func() error { _, err := c.BlockHashAt(t.Context(), 1); return err }
	// getnetworkinfo expects an object; this fake has only hashes. Know the node.
	c.node = &identity{}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	up = false
	if err := ask(); !errors.Is(err, chain.ErrUnavailable) {
		t.Fatalf("while down: %v", err)
	}
	up, genesis = true, strings.Repeat("ab", 32)
	var notReady *chain.NotReadyError
	if err := ask(); !errors.As(err, &notReady) || notReady.Kind != chain.WrongNetwork {
		t.Errorf("another network came back: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".cookie")
	var user, password string
	c := fakeServer(t, Config{CookieFile: path}, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		fmt.Fprintf(w, `{"result":%q}`, regtestGenesis)
	})
	c.node = &identity{}
	if _, err := c.BlockHashAt(t.Context(), 0); !errors.Is(err, chain.ErrUnavailable) {
		t.Errorf("without a cookie: %v", err)
	}
	for _, secret := range []string{"one", "two"} { // Core restarted
		if err := os.WriteFile(path, []byte("__cookie__:"+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c.node = &identity{}
		if _, err := c.BlockHashAt(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if user != "__cookie__" || password != secret {
			t.Errorf("sent %s:%s, want %s", user, password, secret)
		}
	}
}

func TestSatoshis(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "50": 5_000_000_000, "0.00000001": 1, "1e-08": 1, "5.46e-06": 546,
		"20999999.99999999": 2_099_999_999_999_999, "0.1": 10_000_000, "12.34567891": 1_234_567_891,
	} {
		if got, err := satoshis(json.Number(in)); err != nil || got != want {
			t.Errorf("%s BTC = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"-1", "21000000.1", "1e999", "", "x", "NaN"} {
		if got, err := satoshis(json.Number(in)); err == nil {
			t.Errorf("%q accepted as %d", in, got)
		}
	}
}

func TestFeeRate(t *testing.T) {
	c := fakeNode(t, map[string]string{"estimatesmartfee": `{"feerate":0.00012345,"blocks":6}`})
	if got, err := c.FeeRate(t.Context(), 6); err != nil || got != 3087 { // 12345/4, rounded up
		t.Errorf("fee rate %d, %v, want 3087 sat/kWU", got, err)
	}
	c = fakeNode(t, map[string]string{"estimatesmartfee": `{"errors":["Insufficient data"],"blocks":0}`})
	if _, err := c.FeeRate(t.Context(), 6); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("without data: %v", err)
	}
}

// FuzzAnswers feeds one answer to every method: none may panic, and none may
// return a block or header other than the one asked for.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`null`, `""`, `"00"`, `[]`, `[{}]`, `[{"allowed":false,"reject-reason":"dust"}]`, `{"blocks":-1}`,
		`{"bestblock":"` + regtestGenesis + `","confirmations":1,"value":1e-8,"scriptPubKey":{"hex":"51"}}`,
		`"` + regtestGenesis + `"`, `"` + strings.Repeat("00", 80) + `"`, `{"feerate":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c, err := New(Config{URL: "http://unused.invalid", Params: &chaincfg.RegressionNetParams})
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = answerAlways(answer)
		c.node = &identity{smartFee: true}
		ctx, id, tx := t.Context(), chainhash.Hash{1}, wire.NewMsgTx(2)
		if h, err := c.Header(ctx, id); err == nil {
			t.Errorf("accepted header %v", h)
		}
		c.node = &identity{smartFee: true} // an answer without form makes the client forget
		if b, err := c.Block(ctx, id); err == nil {
			t.Errorf("accepted block %v", b)
		}
		c.node = &identity{smartFee: true}
		if out, err := c.Output(ctx, wire.OutPoint{}); err == nil && (out.Confirmations < 1 || out.Value < 0) {
			t.Errorf("accepted output %+v", out)
		}
		c.node = &identity{smartFee: true}
		if tip, err := c.Tip(ctx); err == nil && tip.Height < 0 {
			t.Errorf("accepted tip %v", tip)
		}
		for _, err := range []error{c.Ready(ctx), c.Submit(ctx, tx), c.Test(ctx, tx)} {
			var rejected *chain.RejectedError
			var notReady *chain.NotReadyError
			if err != nil && !errors.Is(err, chain.ErrUnavailable) && !errors.As(err, &rejected) && !errors.As(err, &notReady) {
				t.Errorf("untyped error %v", err)
			}
		}
	})
}

// answerAlways is a transport that gives one result to every request.
type answerAlways []byte

func (a answerAlways) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"result":` + string(a) + `}`
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}
