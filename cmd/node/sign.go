package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"frostfed/federation"
	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) signCmd() *cobra.Command {
	var key, psbt, message, messageFile string
	var force bool
	var wait waitFlags
	cmd := &cobra.Command{
		Use:   "sign (--psbt FILE | --message TEXT | --message-file FILE) --key KEY",
		Short: "Propose to sign a PSBT or a message",
		Long: `Propose to sign a transaction that was composed elsewhere (a PSBT, binary or
base64), or a message of 1 to 4096 bytes. A message is signed as a hash under a tag
of its own with the untweaked key, so a signature of a message never signs a
transaction. Every member decides by its own policy; of a transaction it signs only
what pays addresses of its allow_list and the federation itself.

JSON: SignTransactionResponse or SignMessageResponse of the API; with --wait Request.`,
		Example: `  frostfed sign --key pool --psbt tx.psbt --wait
  frostfed sign --key pool --message "we are the pool" --wait --json | jq -r '.signatures[0]'`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if key == "" {
				return usage(errors.New("--key is needed"), "'frostfed key list' shows the keys")
			}
			if err := wait.check(); err != nil {
				return err
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
			return a.signMessage(cmd, &v1.SignMessageRequest{Key: key, Message: body, Force: force}, wait)
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "label or ID of the key to sign with")
	f.StringVar(&psbt, "psbt", "", "file with a PSBT (- is standard input)")
	f.StringVar(&message, "message", "", "message to sign")
	f.StringVar(&messageFile, "message-file", "", "file with the message to sign (- is standard input)")
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

func (a *app) signMessage(cmd *cobra.Command, req *v1.SignMessageRequest, wait waitFlags) error {
	if wait.until == untilConfirmed {
		return usage(errors.New("no block ever holds a message"), "use --wait")
	}
	res, err := call(cmd.Context(), a, client.SignMessage, req)
	if err != nil {
		return err
	}
	if wait.until != "" {
		return a.wait(cmd.Context(), wait, res.RequestId)
	}
	return a.show(res, func(w io.Writer) {
		fields(w, [][2]string{{"request", res.RequestId}, {"message hash", res.MessageHash}})
		fmt.Fprintf(w, "next: frostfed request %s --wait\n", short(res.RequestId))
	})
}
