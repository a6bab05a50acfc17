package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"frostfed/crypto/rfc9591"
	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) signCmd() *cobra.Command {
	var key, psbt, message, messageFile, out string
	var force bool
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "sign (--psbt FILE | --message TEXT | --message-file FILE) --key KEY",
		Short: "Propose to sign a PSBT or a message",
		Long: `Propose to sign a transaction that was composed elsewhere (a PSBT, binary or
base64), or a message of 1 to 4096 bytes. Every member decides by its own policy; of
a transaction it signs only what pays addresses of its allow_list and the federation
itself.

A message is never signed as it is. A Bitcoin key signs its hash under a tag of its
own, untweaked; a key of another suite signs "frostfed/v1/message", a newline, and the
message: 'frostfed verify-signature', or any verifier of the curve, checks those bytes.

With --out the command waits for the signature of a message, as with --wait, and writes
it in hex to a file.

JSON: SignTransactionResponse or SignMessageResponse of the API; with --wait Request.`,
		Example: `  frostfed sign --key pool --psbt tx.psbt --wait
  frostfed sign --key pool --message "we are the pool" --wait --json | jq -r '.signatures[0]'
  frostfed sign --key releases --message-file release.txt --out release.sig`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key == "" {
				return usage(errors.New("--key is needed"), "'frostfed key list' shows the keys")
			}
			if err := wait.check(); err != nil {
				return err
			}
			if out != "" && psbt != "" {
				return usage(errors.New("--out is for the signature of a message"), "'frostfed request' shows the signed transaction")
			}
			if _, err := os.Lstat(out); out != "" && err == nil {
				return fmt.Errorf("%s exists; choose another name, or move it away", out) // before anything is signed
			}
			if psbt != "" {
				return a.signTransaction(cmd, &v1.SignTransactionRequest{Key: key, Force: force}, psbt, wait)
			}
			body := []byte(message)
			if messageFile != "" {
				var err error
				if body, err = a.readFile(messageFile, federation.MaxMessage); err != nil {
					return err
				}
			}
			return a.signMessage(cmd, &v1.SignMessageRequest{Key: key, Message: body, Force: force}, wait, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "label or ID of the key to sign with")
	f.StringVar(&psbt, "psbt", "", "file with a PSBT (- is standard input)")
	f.StringVar(&message, "message", "", "message to sign")
	f.StringVar(&messageFile, "message-file", "", "file with the message to sign (- is standard input)")
	f.StringVarP(&out, "out", "o", "", "file for the signature in hex; it must not exist")
	f.BoolVar(&force, "force", false, "propose what the own policy refuses; the others decide for themselves")
	wait.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("psbt", "message", "message-file")
	cmd.MarkFlagsOneRequired("psbt", "message", "message-file")
	return cmd
}

func (a *app) signTransaction(cmd *cobra.Command, req *v1.SignTransactionRequest, file string, wait waitFlags) error {
	var err error
	if req.Psbt, err = a.readFile(file, maxPSBTFile); err != nil {
		return err
	}
	res, err := call(cmd.Context(), a, client.SignTransaction, req)
	if err != nil {
		return err
	}
	if wait.until != "" {
		return a.wait(cmd.Context(), wait, res.RequestId)
	}
	return a.show(res, func(w io.Writer) {
		fields(w, [][2]string{{"request", res.RequestId}, {"txid", res.Txid}})
		fmt.Fprintf(w, "next: frostfed request %s --wait\n", short(res.RequestId))
	})
}

func (a *app) signMessage(cmd *cobra.Command, req *v1.SignMessageRequest, wait waitFlags, out string) error {
	if out != "" && wait.until == "" {
		wait.until = untilSigned
	}
	if wait.until == untilConfirmed {
		return usage(errors.New("no block ever holds a message"), "use --wait")
	}
	res, err := call(cmd.Context(), a, client.SignMessage, req)
	if err != nil {
		return err
	}
	if wait.until != "" {
		if err := a.wait(cmd.Context(), wait, res.RequestId); err != nil || out == "" {
			return err
		}
		signed, err := call(cmd.Context(), a, client.GetRequest, &v1.GetRequestRequest{Id: res.RequestId})
		if err != nil {
			return err
		}
		return writeNew(out, []byte(strings.Join(signed.Request.Signatures, "\n")+"\n"))
	}
	return a.show(res, func(w io.Writer) {
		fields(w, [][2]string{{"request", res.RequestId}, {"message hash", res.MessageHash}})
		fmt.Fprintf(w, "next: frostfed request %s --wait\n", short(res.RequestId))
	})
}

func (a *app) verifySignatureCmd() *cobra.Command {
	var suite, public, message, signature string
	cmd := &cobra.Command{
		Use:   "verify-signature --suite SUITE --public-key HEX --message-file FILE --signature-file FILE",
		Short: "Check the signature of a message, without a daemon",
		Long: `Check the signature that a key outside Bitcoin made of a message, without a daemon or
a member. The exit code is 0 only if it is one. What was signed is the text
"frostfed/v1/message", a newline, and the message; so of suite ed25519 any program
checks it, for example openssl with the PEM of 'frostfed key show':

  (echo frostfed/v1/message; cat FILE) > signed; xxd -r -p release.sig > raw
  openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in signed -sigfile raw

JSON: suite, publicKey, valid.`,
		Example: `  frostfed verify-signature --suite ed25519 --public-key 8f40c5ad...  \
    --message-file release.txt --signature-file release.sig`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			s, err := rfc9591.ParseSuite(suite)
			if err != nil {
				return usage(err, "there are ed25519, ristretto255, p256 and secp256k1")
			}
			key, err := hex.DecodeString(public)
			if err != nil || len(key) != s.PublicKeySize() {
				return usage(fmt.Errorf("--public-key is not %d bytes in hex", s.PublicKeySize()), "'frostfed key list' shows it")
			}
			body, err := a.readFile(message, federation.MaxMessage)
			if err != nil {
				return err
			}
			text, err := a.readFile(signature, maxSignatureFile)
			if err != nil {
				return err
			}
			sig, err := hex.DecodeString(strings.TrimSpace(string(text)))
			if err != nil || !rfc9591.Verify(s, key, body, sig) {
				return hinted(errors.New("the signature is not one of this message by this key"), "compare message, key and suite with what was signed")
			}
			return a.show(signatureResult{suite, public, true}, func(w io.Writer) { fmt.Fprintln(w, "the signature is valid") })
		},
	}
	f := cmd.Flags()
	f.StringVar(&suite, "suite", "", "suite of the key")
	f.StringVar(&public, "public-key", "", "public key in hex")
	f.StringVar(&message, "message-file", "", "file with the message (- is standard input)")
	f.StringVar(&signature, "signature-file", "", "file with the signature in hex")
	for _, name := range []string{"suite", "public-key", "message-file", "signature-file"} {
		_ = cmd.MarkFlagRequired(name) // the flag exists
	}
	_ = cmd.RegisterFlagCompletionFunc("suite", cobra.FixedCompletions(suiteNames()[1:], cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// signatureResult is the JSON of a verified signature.
type signatureResult struct {
	Suite     string `json:"suite"`
	PublicKey string `json:"publicKey"`
	Valid     bool   `json:"valid"`
}

const maxSignatureFile = 1024
