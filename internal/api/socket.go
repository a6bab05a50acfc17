package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"frostfed/internal/daemon"
)

const (
	headerTimeout   = 10 * time.Second
	shutdownTimeout = 5 * time.Second
	maxHeader       = 64 << 10
	// maxSocketPath is what sun_path of unix(7) holds beside its final zero on
	// every system that Go supports (macOS has the shortest, 104).
	maxSocketPath = 103
)

// Errors of Serve.
var (
	ErrSocketInUse = errors.New("another process answers on the socket")
	ErrSocketPath  = errors.New("unusable socket path")
)

// Serve serves handler on a unix socket until ctx ends, and then lets calls in
// progress come to their end for up to 5 seconds. It speaks HTTP/1.1, for curl,
// and HTTP/2 without TLS, for gRPC.
//
// A socket that a killed process left behind is replaced. Errors are
// ErrSocketInUse if somebody listens there and ErrSocketPath if something else is
// in the way or the path is too long.
func Serve(ctx context.Context, socketPath string, handler http.Handler) error {
	l, err := listen(socketPath)
	if err != nil {
		return err
	}
	return serve(ctx, l, handler)
}

// listen opens the socket. The data folder is private (0700), which covers the
// moment before the mode of the socket is set.
func listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d work; choose a shorter data folder", ErrSocketPath, path, len(path), maxSocketPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the socket: %w", err), l.Close())
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on. Two daemons of one data
// folder cannot both come here: the lock of the database keeps the second out.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: %s exists and is no socket", ErrSocketPath, path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%w: %s", ErrSocketInUse, path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("look at the socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the stale socket: %w", err)
	}
	return nil
}

func serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	// Streams and waits end with this context when the server shuts down.
	streams, endStreams := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endStreams(nil)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeader, Protocols: new(http.Protocols),
		BaseContext: func(net.Listener) context.Context { return streams },
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	endStreams(daemon.ErrStopped)
	timeout, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(timeout)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop the API: %w", err), server.Close())
	}
	<-served
	return err
}
