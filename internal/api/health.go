package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"frostfed/federation"
	"frostfed/internal/daemon"
	"frostfed/protocols"
)

// readyTimeout is how long the daemon's loop may take to answer. Its longest step
// is a durable write.
const readyTimeout = 2 * time.Second

// Unready is one reason why the member cannot sign now.
type Unready struct {
	Check  string `json:"check"` // stable name
	Reason string `json:"reason"`
	Action string `json:"action"` // what a person can do
}

// Readiness returns a function that lists why the member cannot sign now. The
// list is empty, and not nil, if it can.
func Readiness(d *daemon.Daemon) func(context.Context) []Unready {
	return func(ctx context.Context) []Unready {
		ctx, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		var st federation.Status
		err := d.View(ctx, func(_ protocols.Time, core *federation.Core) { st = core.Status() })
		if err != nil {
			return []Unready{{"daemon", err.Error(), "look at the log; a slow disk or a stopping process shows there"}}
		}
		return unready(st, d.ChainTrouble())
	}
}

func unready(st federation.Status, trouble error) []Unready {
	out := []Unready{}
	if st.Connected < st.T {
		out = append(out, Unready{"members", fmt.Sprintf("%d members are connected, this one included; %d must sign", st.Connected, st.T),
			"'frostfed peers' shows who is away and why"})
	} else if !st.Heard {
		out = append(out, Unready{"heard", "fewer than t-1 members have shown, since this one started, what it had promised", "wait some seconds"})
	}
	if st.Fence != 0 {
		out = append(out, Unready{"restored", fmt.Sprintf("the database is older than this member's promises, which may bind coins up to block %d", st.Fence),
			"see Restore in docs/operations.md: it ends when all those coins are spent, or with chain.settled_to"})
	}
	switch {
	case trouble != nil:
		out = append(out, Unready{"chain", trouble.Error(), "look at the Bitcoin node, and at [chain] in the configuration"})
	case !st.ChainReady:
		out = append(out, Unready{"chain", "the Bitcoin node has not been asked yet", "wait some seconds"})
	case st.Tip.Hash == chainhash.Hash{}:
		out = append(out, Unready{"tip", "no block has been read yet", "wait some seconds"})
	}
	if st.Keys == 0 {
		out = append(out, Unready{"key", "no key is active", "'frostfed key new LABEL' makes one when all members are online"})
	}
	return out
}

// MetricsHandler serves /metrics for Prometheus, /livez (the process answers) and
// /readyz (the member can sign now: else 503, with the reasons as a JSON list).
// Bind it to loopback: it is open to whoever can connect. Requests whose Host is
// not a loopback address or localhost are refused, against DNS rebinding.
func MetricsHandler(registry prometheus.Gatherer, ready func(context.Context) []Unready) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		failing := ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if len(failing) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(failing) // the caller may have left
	})
	return onlyHost(mux, func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
	})
}
