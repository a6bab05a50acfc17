package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"connectrpc.com/connect"

	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/internal/api/frostfed/v1/frostfedv1connect"
)

// unixClient speaks HTTP over the socket as curl does.
func unixClient(path string, http2 bool) *http.Client {
	tr := &http.Transport{
		DisableKeepAlives: true, Protocols: new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) },
	}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetUnencryptedHTTP2(http2)
	return &http.Client{Transport: tr}
}

func TestPlainJSON(t *testing.T) {
	m := newMember(t, nil)
	client := unixClient(m.socket, false)
	for _, tc := range []struct {
		name, host, procedure, body string
		status                      int
		contains                    string
	}{
		{"status", "frostfed", "GetStatus", `{}`, 200, `"connected":1`},
		{"zeros are written", "localhost:8080", "GetStatus", `{}`, 200, `"openRequests":0`},
		{"unknown field", "frostfed", "Pay", `{"key":"main","dryrun":true}`, 400, "dryrun"},
		{"not JSON", "frostfed", "GetStatus", `status`, 400, "invalid_argument"},
		{"unknown request", "frostfed", "GetRequest", `{"id":"abcd"}`, 404, `"code":"not_found"`},
		{"no key", "frostfed", "NewAddress", `{"key":"main"}`, 404, "frostfed key list"},
		{"other host", "attacker.example", "Stop", `{}`, 403, "Host"},
		{"oversized", "frostfed", "SignMessage", `{"message":"` + strings.Repeat("A", maxRequest) + `"}`, 429, "resource_exhausted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				"http://"+tc.host+"/frostfed.v1.MemberService/"+tc.procedure, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			reply, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			body, err := io.ReadAll(reply.Body)
			if compact := bytes.ReplaceAll(body, []byte(`": `), []byte(`":`)); err != nil || reply.StatusCode != tc.status || !bytes.Contains(compact, []byte(tc.contains)) {
				t.Fatalf("%d %s %v", reply.StatusCode, body, err)
			}
		})
	}
}

func TestGRPC(t *testing.T) {
	m := newMember(t, nil)
	for name, option := range map[string]connect.ClientOption{"grpc": connect.WithGRPC(), "grpc-web": connect.WithGRPCWeb()} {
		client := frostfedv1connect.NewMemberServiceClient(unixClient(m.socket, true), "http://frostfed", option)
		if got := ok[v1.GetStatusResponse](t)(client.GetStatus(t.Context(), ask(&v1.GetStatusRequest{}))); got.N != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestStop(t *testing.T) {
	m := newMember(t, nil)
	stream, err := m.client.StreamEvents(t.Context(), ask(&v1.StreamEventsRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	ok[v1.StopResponse](t)(m.client.Stop(t.Context(), ask(&v1.StopRequest{})))
	<-m.stopped
	for stream.Receive() {
	}
	wantCode(t, stream.Err(), connect.CodeUnavailable, ExitNotReady)
	if err := <-m.served; err != nil {
		t.Fatal(err)
	}
	_, err = m.client.GetStatus(t.Context(), ask(&v1.GetStatusRequest{}))
	if ExitCode(err) != ExitNotReady || !strings.Contains(Hint(err), "frostfed run") {
		t.Fatalf("%v; hint %q", err, Hint(err))
	}
}

func TestDaemonStopped(t *testing.T) {
	m := newMember(t, nil)
	if err := m.deps.Daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := m.client.GetStatus(t.Context(), ask(&v1.GetStatusRequest{}))
	wantCode(t, err, connect.CodeUnavailable, ExitNotReady)
	_, err = m.client.NewKey(t.Context(), ask(&v1.NewKeyRequest{Label: "main"}))
	wantCode(t, err, connect.CodeUnavailable, ExitNotReady)
	if got := Readiness(m.deps.Daemon)(t.Context()); len(got) != 1 || got[0].Check != "daemon" {
		t.Fatalf("readiness %v", got)
	}
}

func TestListen(t *testing.T) {
	path := socketPath(t)
	first, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := Serve(t.Context(), path, http.NotFoundHandler()); !errors.Is(err, ErrSocketInUse) {
		t.Errorf("a second listener got %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as if the process was killed
	first.Close()
	if err := unavailable(path); ExitCode(err) != ExitNotReady {
		t.Errorf("a stale socket: %v", err)
	}
	second, err := listen(path)
	if err != nil {
		t.Fatalf("a stale socket was not replaced: %v", err)
	}
	second.Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), path, http.NotFoundHandler()); !errors.Is(err, ErrSocketPath) {
		t.Errorf("a file in the way: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "precious" {
		t.Errorf("the file is %q now, %v", got, err)
	}
	if err := Serve(t.Context(), "/"+strings.Repeat("x", maxSocketPath), http.NotFoundHandler()); !errors.Is(err, ErrSocketPath) {
		t.Errorf("a long path: %v", err)
	}
}

func unavailable(path string) error {
	_, err := Dial(path).GetStatus(context.Background(), ask(&v1.GetStatusRequest{}))
	return err
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK},
		{errors.New("anything"), ExitError},
		{connect.NewError(connect.CodeFailedPrecondition, errors.New("no refusal")), ExitError},
		{connect.NewError(connect.CodeInternal, errors.New("internal")), ExitError},
	} {
		if got := ExitCode(tc.err); got != tc.want || Hint(tc.err) != "" {
			t.Errorf("%v: exit code %d, hint %q", tc.err, got, Hint(tc.err))
		}
	}
}
