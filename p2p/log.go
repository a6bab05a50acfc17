package p2p

import (
	"context"
	"log/slog"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// LogTo sends the log lines of libp2p at level warn and above to handler, and
// silences those of its DHT. It is global to the process and must be called
// before New, once, by main.
func LogTo(handler slog.Handler) {
	gologshim.SetDefaultHandler(warnings{handler})
	golog.SetAllLoggers(golog.LevelFatal)
}

// warnings drops what libp2p logs below warn: about 80 lines per start, and one
// for every stranger's failed handshake.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
