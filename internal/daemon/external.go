package daemon

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"

	"frostfed/federation"
	"frostfed/policy"
	"frostfed/protocols"
)

// maxCommands is how many external commands run at once: members propose as they
// like, and must not be able to make this host start hundreds of processes.
const maxCommands = 4

// askExternal runs the operator's command with the request on its standard
// input. The command gets an empty environment, so that nothing of the daemon's
// leaks into it, and no more time than the policy grants.
func (d *Daemon) askExternal(ask federation.AskExternal) {
	select {
	case d.commands <- struct{}{}:
		defer func() { <-d.commands }()
	case <-d.ctx.Done():
		return
	}
	limit := time.Duration(d.cfg.Core.Policy.ExternalTimeout) * time.Second
	ctx, cancel := context.WithTimeout(d.ctx, limit)
	defer cancel()
	verdict := runExternal(ctx, d.cfg.Core.Policy.External, ask.Input)
	if d.ctx.Err() != nil {
		return
	}
	d.cfg.Log.Info("external command answered", "request", short(ask.Request), "verdict", verdict.Rule)
	d.enqueue(input{apply: func(now protocols.Time, core *federation.Core) (federation.Effects, error) {
		return core.ExternalVerdict(now, ask.Request, verdict), nil
	}})
}

func runExternal(ctx context.Context, command []string, stdin []byte) policy.Verdict {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = []string{}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe open
	var stdout limitedBuffer
	cmd.Stdout = &stdout
	err := cmd.Run()
	return externalVerdict(ctx, err, stdout.kept.Bytes())
}

func externalVerdict(ctx context.Context, err error, stdout []byte) policy.Verdict {
	timedOut := errors.Is(ctx.Err(), context.DeadlineExceeded)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return policy.ExternalVerdict(0, timedOut, stdout)
	case errors.As(err, &exit):
		return policy.ExternalVerdict(exit.ExitCode(), timedOut, stdout)
	case timedOut:
		return policy.ExternalVerdict(-1, true, nil)
	}
	return policy.Verdict{Rule: policy.ExternalFailed, Reason: "the command could not be started"}
}

// limitedBuffer keeps one byte more than a command may write, which is enough to
// see that it wrote too much. The buffer is not embedded: io.Copy would prefer its
// ReadFrom, which has no limit.
type limitedBuffer struct{ kept bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := policy.MaxExternalOutput + 1 - b.kept.Len(); room > 0 {
		b.kept.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
