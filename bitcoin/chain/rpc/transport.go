package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"frostfed/bitcoin/chain"
)

const (
	// maxResponse is a block of the largest size in hex, plus its envelope. No
	// other answer comes near.
	maxResponse = 2*4_000_000 + 4096

	// maxSecretFile bounds cookie and password files: a wrong path may name
	// anything.
	maxSecretFile = 4096

	// dialTimeout makes an address where nothing answers fail fast: nodes are
	// near, normally on the same machine.
	dialTimeout = 3 * time.Second
)

// Codes that both nodes use alike, of Bitcoin Core's rpc/protocol.h.
const (
	codeMisc         = -1 // btcd: height out of range
	codeNotFound     = -5
	codeInvalidParam = -8 // Core: height out of range
	codeTxMissing    = -25
	codeTxRejected   = -26
	codeTxKnown      = -27
	codeWarmup       = -28
	codeNoMethod     = -32601
)

// rpcError is the node's answer that it will not or cannot.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string {
	return fmt.Sprintf("node answers %q (code %d)", e.Message[:min(len(e.Message), 400)], e.Code)
}

// Is makes an answer that no method understands count as none.
func (e *rpcError) Is(target error) bool { return target == chain.ErrUnavailable }

// isMissing reports whether the node does not have the method. btcd knows the
// names of some methods it lacks and answers those with codeMisc.
func isMissing(err error) bool {
	var e *rpcError
	return errors.As(err, &e) && (e.Code == codeNoMethod ||
		e.Code == codeMisc && strings.Contains(e.Message, "unimplemented"))
}

func newHTTP(cfg Config) (*http.Client, error) {
	transport := &http.Transport{
		// No proxy: the node is local or reached over a private link.
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     20 * time.Second, // below Core's -rpcservertimeout of 30 s
	}
	if cfg.CertFile != "" {
		pem, err := os.ReadFile(cfg.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read node certificate: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read node certificate: %s holds no PEM certificate", cfg.CertFile)
		}
		transport.TLSClientConfig = &tls.Config{
			RootCAs:    roots,
			MinVersion: tls.VersionTLS12,
			// btcd closes the connection after each answer; resuming is cheaper.
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
	}
	return &http.Client{
		Transport: transport,
		// A redirect would send the credentials elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// call asks the node and decodes its result. Failures to get an answer match
// chain.ErrUnavailable, a negative answer is an *rpcError, and the end of the
// caller's ctx is its own error.
func (c *Client) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": "frostfed", "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	callCtx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	body, err := c.post(callCtx, request)
	if err == nil {
		err = decode(body, result)
	}
	if err == nil {
		return nil
	}
	var answer *rpcError
	if !errors.As(err, &answer) {
		c.forget()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = fmt.Errorf("%w: %w", chain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", method, err)
}

// post returns the body of a response that can hold a JSON-RPC answer.
func (c *Client) post(ctx context.Context, request []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	// Every call may be repeated without harm. An empty value tells net/http so,
	// and it retries when the node has just closed an idle connection.
	req.Header["Idempotency-Key"] = nil
	user, password, err := c.credentials()
	if err != nil {
		return nil, err
	}
	if user != "" || password != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusInternalServerError, http.StatusNotFound, http.StatusBadRequest:
		// Core puts its JSON-RPC errors under the latter three.
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("node refuses our credentials or address (HTTP %d)", resp.StatusCode)
	default:
		return nil, fmt.Errorf("node answers HTTP %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxResponse {
		return nil, fmt.Errorf("answer exceeds %d bytes", maxResponse)
	}
	return body, nil
}

func decode(body []byte, result any) error {
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return errors.New("answer is not JSON-RPC") // err would quote the node's bytes
	}
	if envelope.Error != nil {
		return envelope.Error
	}
	if err := json.Unmarshal(envelope.Result, result); err != nil {
		return fmt.Errorf("answer has an unexpected form: %w", err)
	}
	return nil
}

// credentials returns the user and password to send, both empty for none.
func (c *Client) credentials() (user, password string, err error) {
	if c.cfg.CookieFile != "" {
		cookie, err := readSecret(c.cfg.CookieFile)
		if err != nil {
			return "", "", fmt.Errorf("read cookie: %w", err)
		}
		user, password, ok := strings.Cut(cookie, ":")
		if !ok {
			return "", "", fmt.Errorf("read cookie: %s is not user:password", c.cfg.CookieFile)
		}
		return user, password, nil
	}
	if c.cfg.PasswordFile != "" {
		password, err = readSecret(c.cfg.PasswordFile)
		if err != nil {
			return "", "", fmt.Errorf("read node password: %w", err)
		}
	}
	return c.cfg.User, password, nil
}

// readSecret reads the first line of a small file.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
