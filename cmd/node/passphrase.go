package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"frostfed/crypto/memberkey"
	"frostfed/internal/keystore"
	"frostfed/internal/node"
)

// phraseFlags say where the passphrase of the seed comes from.
type phraseFlags struct {
	file string
	fd   int
}

func (p *phraseFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.file, "passphrase-file", "", "file whose first line is the passphrase (also $FROSTFED_PASSPHRASE_FILE)")
	cmd.Flags().IntVar(&p.fd, "passphrase-fd", -1, "inherited file descriptor to read the passphrase from")
	cmd.MarkFlagsMutuallyExclusive("passphrase-file", "passphrase-fd")
}

// passphrase reads it; a new one is asked for twice. The caller wipes it.
func (a *app) passphrase(p phraseFlags, fresh bool) ([]byte, error) {
	if p.fd >= 0 {
		f := os.NewFile(uintptr(p.fd), "passphrase")
		if f == nil {
			return nil, usage(fmt.Errorf("descriptor %d is not open", p.fd), "open it in the shell, e.g. --passphrase-fd 3 3<FILE")
		}
		defer f.Close()
		return keystore.ReadPassphrase(f)
	}
	if p.file == "" {
		p.file = a.env("FROSTFED_PASSPHRASE_FILE")
	}
	if p.file != "" {
		return readPhraseFile(p.file)
	}
	return a.askPassphrase(fresh)
}

func readPhraseFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	// Groups may read it: that is how service managers hand out credentials.
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, hinted(fmt.Errorf("everybody can read the passphrase file %s (mode %04o)", path, info.Mode().Perm()), "chmod 600 %s", path)
	}
	return keystore.ReadPassphrase(f)
}

func (a *app) askPassphrase(fresh bool) ([]byte, error) {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, usage(errors.New("no passphrase, and no terminal to ask for it"), "give --passphrase-file FILE or --passphrase-fd N")
	}
	ask := func(prompt string) ([]byte, error) {
		fmt.Fprint(a.err, prompt)
		defer fmt.Fprintln(a.err)
		phrase, err := term.ReadPassword(int(in.Fd()))
		if err != nil {
			return nil, fmt.Errorf("read passphrase: %w", err)
		}
		return phrase, nil
	}
	if !fresh {
		return ask("Passphrase of the seed: ")
	}
	first, err := ask("New passphrase for the seed: ")
	if err != nil {
		return nil, err
	}
	again, err := ask("The same again: ")
	defer clear(again)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		clear(first)
		return nil, errors.New("the two passphrases differ; run the command again")
	}
	return first, nil
}

// keys asks for the passphrase and opens the member's keys.
func (a *app) keys(dir node.Dir, p phraseFlags) (*memberkey.Keys, error) {
	phrase, err := a.passphrase(p, false)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	keys, err := dir.OpenKeys(phrase)
	if errors.Is(err, keystore.ErrPassphrase) {
		return nil, hinted(err, "check the passphrase; without it the seed in %s cannot be used", dir)
	}
	return keys, err
}
