package neutrino

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/btcsuite/btclog"
	"github.com/lightninglabs/neutrino"
)

var loggerOnce sync.Once

// useLogger sends what neutrino and the packages below it log to log, one level
// down: what is worth a line to a light client is detail to a member.
func useLogger(log *slog.Logger) {
	loggerOnce.Do(func() { neutrino.UseLogger(logger{log.With("from", "neutrino")}) })
}

// logger is a btclog.Logger.
type logger struct{ to *slog.Logger }

func (l logger) put(level slog.Level, text func() string) {
	if l.to.Enabled(context.Background(), level) {
		l.to.Log(context.Background(), level, text())
	}
}

func (l logger) printf(level slog.Level, format string, args []any) {
	l.put(level, func() string { return fmt.Sprintf(format, args...) })
}

func (l logger) print(level slog.Level, args []any) {
	l.put(level, func() string { return fmt.Sprint(args...) })
}

// levelTrace is below everything that can be configured.
const levelTrace = slog.LevelDebug - 4

func (l logger) Tracef(format string, args ...any)    { l.printf(levelTrace, format, args) }
func (l logger) Debugf(format string, args ...any)    { l.printf(levelTrace, format, args) }
func (l logger) Infof(format string, args ...any)     { l.printf(slog.LevelDebug, format, args) }
func (l logger) Warnf(format string, args ...any)     { l.printf(slog.LevelInfo, format, args) }
func (l logger) Errorf(format string, args ...any)    { l.printf(slog.LevelWarn, format, args) }
func (l logger) Criticalf(format string, args ...any) { l.printf(slog.LevelWarn, format, args) }
func (l logger) Trace(args ...any)                    { l.print(levelTrace, args) }
func (l logger) Debug(args ...any)                    { l.print(levelTrace, args) }
func (l logger) Info(args ...any)                     { l.print(slog.LevelDebug, args) }
func (l logger) Warn(args ...any)                     { l.print(slog.LevelInfo, args) }
func (l logger) Error(args ...any)                    { l.print(slog.LevelWarn, args) }
func (l logger) Critical(args ...any)                 { l.print(slog.LevelWarn, args) }

// Level tells neutrino what not to prepare for logging.
func (l logger) Level() btclog.Level {
	if l.to.Enabled(context.Background(), levelTrace) {
		return btclog.LevelTrace
	}
	return btclog.LevelInfo
}

// SetLevel does nothing: the level is the program's.
func (l logger) SetLevel(btclog.Level) {}
