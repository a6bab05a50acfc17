package policy

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"frostfed/bitcoin"
)

// ExternalRequest is what the operator's command reads from standard input: one
// JSON object. Fields are added in later versions, never changed; version says
// which. All amounts are satoshi.
type ExternalRequest struct {
	Version int    `json:"version"`
	Request string `json:"request"` // id of the signing request, hex
	Kind    string `json:"kind"`    // "transaction" or "message"

	// Of a transaction, but Key, which a message has too.
	Network string           `json:"network,omitempty"`
	Key     string           `json:"key,omitempty"` // public key, hex: of a Bitcoin key the plain threshold key
	TxID    string           `json:"txid,omitempty"`
	Tx      string           `json:"tx,omitempty"`      // unsigned, hex
	Weight  bitcoin.Weight   `json:"weight,omitempty"`  // once signed
	Fee     bitcoin.Sat      `json:"fee,omitempty"`     // inputs minus outputs
	Leaving bitcoin.Sat      `json:"leaving,omitempty"` // payments to others and fee
	Inputs  []ExternalInput  `json:"inputs,omitempty"`
	Outputs []ExternalOutput `json:"outputs,omitempty"`

	// Of a message.
	Message string `json:"message,omitempty"` // hex, without the tag under which it is signed
	Suite   string `json:"suite,omitempty"`   // kind of the key: "bitcoin", "ed25519", ...
}

// ExternalInput is a coin to be spent.
type ExternalInput struct {
	OutPoint string      `json:"outpoint"` // txid:index
	Amount   bitcoin.Sat `json:"amount"`
	Path     string      `json:"path"` // /branch/index
}

// ExternalOutput is an output to be made. Path is set if it is ours.
type ExternalOutput struct {
	Address string      `json:"address"`
	Amount  bitcoin.Sat `json:"amount"`
	Path    string      `json:"path,omitempty"`
}

const externalVersion = 1

// TransactionRequest describes a transaction that a verdict has allowed.
func TransactionRequest(request [32]byte, s *bitcoin.Spend) ExternalRequest {
	key, txid := s.Key().PublicKey(), s.TxID()
	r := ExternalRequest{
		Version: externalVersion,
		Request: hex.EncodeToString(request[:]),
		Kind:    "transaction",
		Network: s.Key().Network().String(),
		Key:     hex.EncodeToString(key[:]),
		TxID:    txid.String(),
		Tx:      hex.EncodeToString(s.Bytes()),
		Weight:  s.Weight(),
		Fee:     s.Fee(),
		Leaving: s.Leaving(),
	}
	for _, in := range s.Inputs {
		r.Inputs = append(r.Inputs, ExternalInput{in.Coin.OutPoint.String(), in.Coin.Amount, in.Coin.Path.String()})
	}
	for i, out := range s.Tx.TxOut {
		// The rules before this one let only standard scripts pass.
		addr, _ := bitcoin.EncodeAddress(s.Key().Network(), out.PkScript)
		o := ExternalOutput{Address: addr, Amount: bitcoin.Sat(out.Value)}
		if own := s.Own[i]; own != nil {
			o.Path = own.Path.String()
		}
		r.Outputs = append(r.Outputs, o)
	}
	return r
}

// MessageRequest describes a message to be signed by a key of a suite.
func MessageRequest(request [32]byte, suite string, key, message []byte) ExternalRequest {
	return ExternalRequest{
		Version: externalVersion,
		Request: hex.EncodeToString(request[:]),
		Kind:    "message",
		Suite:   suite,
		Key:     hex.EncodeToString(key),
		Message: hex.EncodeToString(message),
	}
}

// MaxExternalOutput is how much the command may write; the caller reads no more.
const MaxExternalOutput = 4096

// ExternalVerdict turns what became of the operator's command into a verdict. Exit
// code 0 allows and 1 refuses; any other code, or a time-out, means that it broke,
// which refuses too. It may write one JSON object {"allow": true, "reason":
// "..."}; then allow must agree with the exit code. Anything else on standard
// output refuses: a command that prints nonsense is not the one that was meant.
func ExternalVerdict(exit int, timedOut bool, stdout []byte) Verdict {
	if timedOut {
		return refuse(ExternalTimeout, "the command did not answer in time")
	}
	if exit != 0 && exit != 1 {
		return refuse(ExternalFailed, "the command ended with exit code %d", exit)
	}
	reason, ok := externalReason(exit == 0, stdout)
	switch {
	case !ok:
		return refuse(ExternalGarbage, "the command ended with exit code %d but wrote no matching verdict", exit)
	case exit == 1 && reason == "":
		return refuse(ExternalRefused, "the command gave no reason")
	case exit == 1:
		return refuse(ExternalRefused, "%s", reason)
	}
	return allow()
}

// externalReason reads the command's output and reports whether it is well-formed
// and says allow.
func externalReason(allow bool, stdout []byte) (string, bool) {
	if len(stdout) > MaxExternalOutput || !utf8.Valid(stdout) {
		return "", false
	}
	if len(bytes.TrimSpace(stdout)) == 0 {
		return "", true
	}
	var answer struct {
		Allow  *bool  `json:"allow"`
		Reason string `json:"reason"`
	}
	dec := json.NewDecoder(bytes.NewReader(stdout))
	dec.DisallowUnknownFields()
	if dec.Decode(&answer) != nil || answer.Allow == nil || *answer.Allow != allow {
		return "", false
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", false
	}
	return printable(answer.Reason), true
}

// printable keeps control characters of the command out of terminals and logs.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
