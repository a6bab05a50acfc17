package bench

import (
	"errors"
	"sync"

	"frostfed/crypto/bip445"
)

// Operations of signing.
const (
	OpNonce              = "nonce"               // a pair of nonces
	OpSign               = "sign"                // signer set cached, self-verification included
	OpSet                = "set"                 // new signer set with the validation of BIP 445
	OpSetGroup           = "set-of-group"        // new signer set of a validated group
	OpCoordinator        = "coordinator"         // nonces as bytes, to the verified signature
	OpCoordinatorDecoded = "coordinator-decoded" // nonces decoded on arrival
	OpCoordinatorChecked = "coordinator-checked" // from bytes, every partial signature verified
	OpVerifyShare        = "verify-share"        // one partial signature
	OpBlame              = "blame"               // all partial signatures
)

var errCulprits = errors.New("honest signers blamed")

// signCases returns the operations of one signing session. Peers follow ours.
func signCases(size Size) []Case {
	ours := sync.OnceValues(func() (*session, error) { return newSession(size) })
	peer := sync.OnceValues(func() (*bytemare, error) { return newBytemare(size) })
	own := func(op string, round func(s *session) Round) Case {
		return Case{op, size, Ours, setup(ours, round)}
	}
	other := func(op string, round func(b *bytemare) Round) Case {
		return Case{op, size, Bytemare, setup(peer, round)}
	}
	return []Case{
		own(OpNonce, func(s *session) Round {
			return repeat(func() error { _, _, err := s.nonce(s.last()); return err })
		}),
		other(OpNonce, (*bytemare).commit),
		own(OpSign, (*session).sign),
		other(OpSign, (*bytemare).sign),
		own(OpSet, (*session).newSet),
		other(OpSet, (*bytemare).sign), // has no such step: its signature is the yardstick
		own(OpSetGroup, func(s *session) Round {
			return repeat(func() error { _, err := s.group.SignerSet(s.ids); return err })
		}),
		own(OpCoordinator, func(s *session) Round {
			return repeat(func() error { return s.coordinate(false, false) })
		}),
		other(OpCoordinator, (*bytemare).aggregate),
		own(OpCoordinatorDecoded, func(s *session) Round {
			return repeat(func() error { return s.coordinate(true, false) })
		}),
		other(OpCoordinatorDecoded, (*bytemare).aggregate),
		own(OpCoordinatorChecked, func(s *session) Round {
			return repeat(func() error { return s.coordinate(false, true) })
		}),
		other(OpCoordinatorChecked, (*bytemare).aggregateChecked),
		own(OpVerifyShare, func(s *session) Round {
			i := len(s.ids) - 1
			return repeat(func() error { return s.now.PartialSigVerify(i, s.nonces[i], s.psigs[i]) })
		}),
		other(OpVerifyShare, (*bytemare).verifyShare),
		own(OpBlame, func(s *session) Round {
			return repeat(func() error { return s.blame(&s.now, s.nonces) })
		}),
	}
}

// setup joins the shared inputs of several cases and the operation of one.
func setup[T any](inputs func() (T, error), round func(T) Round) func() (Round, error) {
	return func() (Round, error) {
		in, err := inputs()
		if err != nil {
			return nil, err
		}
		return round(in), nil
	}
}

// sign is a signer's online work: aggregate nonce from bytes, session, partial
// signature, self-verification.
func (s *session) sign() Round {
	i := len(s.ids) - 1
	type input struct {
		secret *bip445.SecNonce
		agg    [bip445.AggNonceSize]byte
	}
	others := append([]bip445.PubNonce(nil), s.nonces...)
	return stock(func() (in input, err error) {
		in.secret, others[i], err = s.nonce(s.last())
		in.agg = bip445.NonceAgg(others).Bytes()
		return in, err
	}, func(in input) error {
		agg, err := bip445.ParseAggNonce(in.agg[:])
		if err != nil {
			return err
		}
		now, err := bip445.NewSession(s.set, s.key, agg, message)
		if err != nil {
			return err
		}
		_, err = s.signer.Sign(&now, in.secret)
		return err
	})
}

func (s *session) newSet() Round {
	shares := make([][]byte, len(s.ids))
	for i, id := range s.ids {
		shares[i] = s.info.PubShares[id]
	}
	return repeat(func() error {
		_, err := bip445.NewSignerSet(s.info.T, len(s.info.PubShares), s.info.ThreshPK[:], s.ids, shares)
		return err
	})
}

// coordinate is the coordinator's work up to the verified signature.
func (s *session) coordinate(decoded, checked bool) error {
	nonces := s.nonces
	if !decoded {
		var err error
		if nonces, err = bip445.ParsePubNonces(s.raw); err != nil {
			return err
		}
	}
	now, err := bip445.NewSession(s.set, s.key, bip445.NonceAgg(nonces), message)
	if err != nil {
		return err
	}
	if checked {
		if err := s.blame(&now, nonces); err != nil {
			return err
		}
	}
	_, err = now.PartialSigAgg(s.psigs)
	return err
}

func (s *session) blame(now *bip445.Session, nonces []bip445.PubNonce) error {
	culprits, err := now.Culprits(nonces, s.psigs)
	if err == nil && culprits != nil {
		err = errCulprits
	}
	return err
}
