package bench

import (
	"slices"

	"github.com/bytemare/ecc"
	"github.com/bytemare/frost"
	"github.com/bytemare/secret-sharing/keys"
)

// Bytemare is RFC 9591 on secp256k1, by github.com/bytemare/frost. It takes
// points decoded and its signatures are not BIP 340's, which both is to its
// advantage.
const Bytemare = "bytemare"

// bytemare is the same key and the same signers as session has.
type bytemare struct {
	config      *frost.Configuration
	signer      *frost.Signer // the last
	commitments frost.CommitmentList
	shares      []*frost.SignatureShare
}

func newBytemare(size Size) (*bytemare, error) {
	d := deal(size)
	suite := frost.Secp256k1
	key := ecc.Group(suite).NewElement()
	if err := key.Decode(d.info.ThreshPK[:]); err != nil {
		return nil, err
	}
	publics := make([]*keys.PublicKeyShare, size.N)
	for id, b := range d.info.PubShares {
		var err error
		if publics[id], err = frost.NewPublicKeyShare(suite, uint16(id)+1, b); err != nil {
			return nil, err
		}
	}
	b := &bytemare{config: &frost.Configuration{
		Ciphersuite: suite, Threshold: uint16(size.T), MaxSigners: uint16(size.N),
		VerificationKey: key, SignerPublicKeyShares: publics,
	}}
	if err := b.config.Init(); err != nil {
		return nil, err
	}
	var signers []*frost.Signer
	var list frost.CommitmentList // signing erases commitments, b keeps copies
	for _, id := range d.ids {
		share, err := frost.NewKeyShare(suite, uint16(id)+1, d.shares[id][:], d.info.PubShares[id], d.info.ThreshPK[:])
		if err != nil {
			return nil, err
		}
		if b.signer, err = b.config.Signer(share); err != nil {
			return nil, err
		}
		signers = append(signers, b.signer)
		commitment := b.signer.Commit()
		list = append(list, commitment)
		b.commitments = append(b.commitments, commitment.Copy())
	}
	for _, s := range signers {
		share, err := s.Sign(message, list)
		if err != nil {
			return nil, err
		}
		b.shares = append(b.shares, share)
	}
	return b, nil
}

func (b *bytemare) commit() Round {
	return repeat(func() error {
		c := b.signer.Commit()
		delete(b.signer.NonceCommitments, c.CommitmentID) // do not measure a growing map
		return nil
	})
}

// sign is with Lagrange coefficients cached by the signer.
func (b *bytemare) sign() Round {
	return stock(func() (frost.CommitmentList, error) {
		list := slices.Clone(b.commitments)
		list[len(list)-1] = b.signer.Commit()
		return list, nil
	}, func(list frost.CommitmentList) error {
		_, err := b.signer.Sign(message, list)
		return err
	})
}

// aggregate trusts the shares and verifies the signature.
func (b *bytemare) aggregate() Round {
	return repeat(func() error {
		sig, err := b.config.AggregateSignatures(message, b.shares, b.commitments, false)
		if err != nil {
			return err
		}
		return frost.VerifySignature(b.config.Ciphersuite, message, sig, b.config.VerificationKey)
	})
}

// aggregateChecked verifies every share.
func (b *bytemare) aggregateChecked() Round {
	return repeat(func() error {
		_, err := b.config.AggregateSignatures(message, b.shares, b.commitments, true)
		return err
	})
}

func (b *bytemare) verifyShare() Round {
	share := b.shares[len(b.shares)-1]
	return repeat(func() error { return b.config.VerifySignatureShare(share, message, b.commitments) })
}
