package p2p

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/gologshim"
)

func TestLogTo(t *testing.T) {
	var out bytes.Buffer
	LogTo(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	defer LogTo(slog.DiscardHandler)
	log := gologshim.Logger("frostfed-test").With("a", 1)
	log.Info("quiet")
	log.Warn("loud")
	if got := out.String(); !strings.Contains(got, "loud") || !strings.Contains(got, "logger=frostfed-test") || strings.Contains(got, "quiet") {
		t.Errorf("log: %s", got)
	}
}
