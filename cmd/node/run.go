package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"frostfed/internal/node"
)

// runFlags override the configuration file: a flag wins over its environment
// variable, which wins over the file.
type runFlags struct {
	listen, seeds               []string
	chainURL, metrics, logLevel string
	logFormat                   string
	phrase                      phraseFlags
}

func (a *app) runCmd() *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon of this member",
		Long: `Run the daemon of this member in the foreground until it is interrupted or
terminated. It logs to standard error, serves the API on frostfed.sock in the data
folder, and tells systemd when it is ready (Type=notify).

A flag wins over its environment variable, that over the configuration file:
FROSTFED_LISTEN and FROSTFED_SEEDS (separated by commas), FROSTFED_CHAIN_URL,
FROSTFED_METRICS, FROSTFED_LOG_LEVEL.`,
		Example: `  frostfed run
  frostfed run --dir /var/lib/frostfed --passphrase-file "$CREDENTIALS_DIRECTORY/passphrase"
  frostfed run --log-level debug --metrics 127.0.0.1:9471`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDaemon(cmd.Context(), flags) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&flags.listen, "listen", nil, "multiaddr to listen on (repeatable)")
	f.StringArrayVar(&flags.seeds, "seed", nil, "multiaddr, ending in /p2p/ID, of any member (repeatable)")
	f.StringVar(&flags.chainURL, "chain-url", "", "JSON-RPC of btcd or Bitcoin Core")
	f.StringVar(&flags.metrics, "metrics", "", "loopback address for /metrics, /livez and /readyz")
	f.StringVar(&flags.logLevel, "log-level", "", "debug, info, warn or error")
	f.StringVar(&flags.logFormat, "log-format", "", "text or json (default text on a terminal, else json)")
	flags.phrase.add(cmd)
	return cmd
}

// override applies flags and environment to what the file says.
func (a *app) override(cfg *node.Config, flags runFlags) error {
	one := func(to *string, flag, env string) {
		if flag == "" {
			flag = a.env(env)
		}
		if flag != "" {
			*to = flag
		}
	}
	many := func(to *[]string, flag []string, env string) {
		if v := a.env(env); len(flag) == 0 && v != "" {
			flag = strings.Split(v, ",")
		}
		if len(flag) > 0 {
			*to = flag
		}
	}
	many(&cfg.Listen, flags.listen, "FROSTFED_LISTEN")
	many(&cfg.Seeds, flags.seeds, "FROSTFED_SEEDS")
	one(&cfg.Chain.URL, flags.chainURL, "FROSTFED_CHAIN_URL")
	one(&cfg.Metrics, flags.metrics, "FROSTFED_METRICS")
	one(&cfg.LogLevel, flags.logLevel, "FROSTFED_LOG_LEVEL")
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("%w: with flags and environment applied: %w", node.ErrConfig, err)
	}
	return nil
}

func (a *app) logger(format string, level slog.Level) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: level}
	if format == "" {
		format = "json"
		if isTerminal(a.err) {
			format = "text"
		}
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, opts)), nil
	}
	return nil, usage(fmt.Errorf("--log-format %q is unknown", format), "use text or json")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// runDaemon checks everything that can be checked before it asks for the
// passphrase, and then runs until ctx ends or something breaks.
func (a *app) runDaemon(ctx context.Context, flags runFlags) error {
	dir, cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if err := a.override(&cfg, flags); err != nil {
		return err
	}
	log, err := a.logger(flags.logFormat, cfg.Level())
	if err != nil {
		return err
	}
	charter, err := dir.Charter()
	if err != nil {
		return err
	}
	keys, err := a.keys(dir, flags.phrase)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	n, err := node.Start(ctx, node.Options{Dir: dir, Config: cfg, Charter: charter, Keys: keys, Log: log, Version: buildVersion().Version})
	if err != nil {
		return err
	}
	log.Info("the member runs", "name", cfg.Name, "federation", charter.Name, "id", charter.ID().String(), "network", charter.Network,
		"peer", peer.ID(n.Host.ID()).String(), "listen", n.Host.Addrs(), "socket", dir.Socket())
	serve(ctx, group, services{node: n, dir: dir, metrics: cfg.Metrics, log: log, stop: stop})
	group.Go(n.Daemon.Wait)
	a.notify(log, "READY=1")
	<-ctx.Done()
	a.notify(log, "STOPPING=1")
	log.Info("stopping")
	err = group.Wait()
	if closed := n.Close(); err == nil {
		err = closed
	}
	return err
}
