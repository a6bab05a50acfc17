package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"frostfed/internal/api"
	"frostfed/internal/node"
)

// services of a running member, for its operator.
type services struct {
	node    *node.Node
	dir     node.Dir
	metrics string // loopback address; empty: none, and then log is not needed
	log     *slog.Logger
	stop    func() // ends the process, or the member of a demo
}

// serve starts the API, and metrics if they are wanted. They end with ctx, and
// the group fails if one of them does.
func serve(ctx context.Context, group *errgroup.Group, s services) {
	handler := api.NewHandler(api.Deps{Daemon: s.node.Daemon, Host: s.node.Host, Charter: s.node.Charter, Network: s.node.Network,
		Version: buildVersion().Version, Started: s.node.Started, Stop: s.stop})
	group.Go(func() error { return api.Serve(ctx, s.dir.Socket(), handler) })
	if s.metrics != "" {
		group.Go(func() error { return serveMetrics(ctx, s) })
	}
}

const metricsTimeout = 10 * time.Second

func serveMetrics(ctx context.Context, s services) error {
	s.node.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	l, err := net.Listen("tcp", s.metrics)
	if err != nil {
		return fmt.Errorf("serve metrics: %w; give another --metrics, or leave it out", err)
	}
	s.log.Info("serving metrics and health", "address", l.Addr().String())
	server := &http.Server{Handler: api.MetricsHandler(s.node.Registry, api.Readiness(s.node.Daemon)),
		ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout}
	stop := context.AfterFunc(ctx, func() { server.Close() }) // a scrape cut short harms nobody
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// notify tells systemd of a change of state, if it started this process with
// Type=notify: one datagram to the socket that it names, see sd_notify(3).
func (a *app) notify(log *slog.Logger, state string) {
	socket := a.env("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.Dial("unixgram", socket)
	if err == nil {
		_, err = conn.Write([]byte(state))
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		log.Warn("systemd was not told", "state", state, "error", err)
	}
}
