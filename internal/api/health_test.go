package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"frostfed/federation"
)

func TestMetricsHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "frostfed_test_total", Help: "Test."})
	registry.MustRegister(counter)
	counter.Inc()
	failing := []Unready{}
	h := MetricsHandler(registry, func(context.Context) []Unready { return failing })
	get := func(host, path string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, strings.TrimSpace(string(body))
	}
	for _, host := range []string{"localhost", "127.0.0.1:9100", "[::1]:9100", "127.5.5.5", "::1"} {
		if code, body := get(host, "/livez"); code != http.StatusOK || body != "ok" {
			t.Errorf("%s: %d %s", host, code, body)
		}
	}
	for _, host := range []string{"attacker.example", "attacker.example:9100", "192.0.2.1", "localhost.attacker.example", ""} {
		if code, _ := get(host, "/metrics"); code != http.StatusForbidden {
			t.Errorf("%s: %d", host, code)
		}
	}
	if code, body := get("localhost", "/metrics"); code != http.StatusOK || !strings.Contains(body, "frostfed_test_total 1") {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("localhost", "/readyz"); code != http.StatusOK || body != "[]" {
		t.Errorf("%d %s", code, body)
	}
	failing = []Unready{{"chain", "it is behind", "wait"}}
	code, body := get("localhost", "/readyz")
	var got []Unready
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusServiceUnavailable || len(got) != 1 || got[0] != failing[0] {
		t.Errorf("%d %s: %v", code, body, err)
	}
}

func TestReadiness(t *testing.T) {
	m := newMember(t, nil)
	m.mine(1)
	got := Readiness(m.deps.Daemon)(t.Context())
	if len(got) != 1 || got[0].Check != "key" {
		t.Fatalf("before the key: %v", got)
	}
	m.newKey("main")
	m.mine(1)
	if got := Readiness(m.deps.Daemon)(t.Context()); got == nil || len(got) != 0 {
		t.Fatalf("with a key: %v", got)
	}
}

func TestUnready(t *testing.T) {
	fine := federation.Status{N: 5, T: 3, Connected: 3, Heard: true, Keys: 1, ChainReady: true, Tip: federation.BlockID{Hash: [32]byte{1}}}
	for _, tc := range []struct {
		name    string
		change  func(*federation.Status)
		trouble error
		want    string
	}{
		{"ready", func(*federation.Status) {}, nil, ""},
		{"too few members", func(s *federation.Status) { s.Connected = 2 }, nil, "members"},
		{"nobody spoke yet", func(s *federation.Status) { s.Heard = false }, nil, "heard"},
		{"older database", func(s *federation.Status) { s.Fence = 7 }, nil, "restored"},
		{"chain in trouble", func(s *federation.Status) { s.ChainReady = false }, errors.New("node is syncing"), "chain"},
		{"chain not asked yet", func(s *federation.Status) { s.ChainReady = false }, nil, "chain"},
		{"no block", func(s *federation.Status) { s.Tip = federation.BlockID{} }, nil, "tip"},
		{"no key", func(s *federation.Status) { s.Keys = 0 }, nil, "key"},
		{"nothing", func(s *federation.Status) { *s = federation.Status{N: 5, T: 3, Connected: 1} }, nil, "members chain key"},
	} {
		st := fine
		tc.change(&st)
		var checks []string
		for _, u := range unready(st, tc.trouble) {
			checks = append(checks, u.Check)
			if u.Reason == "" || u.Action == "" {
				t.Errorf("%s: %v says too little", tc.name, u)
			}
		}
		if got := strings.Join(checks, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}
