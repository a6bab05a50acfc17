package chilldkg

import (
	"fmt"

	"frostfed/crypto/internal/secp"
)

// Recover computes the output of a successful session from its recovery data
// (4+33*t+162*n bytes) and the host secret key of a participant, or without
// secret share for a nil key. Recovery data is public and verifies itself: it
// may come from any participant or a backup.
//
// It returns ErrRecoveryData, ErrMalformed for a key that does not have 32
// bytes, or ErrHostSeckey if the key is not one of the session's. Source:
// ChillDKG, participant_recover and coordinator_recover.
func Recover(hostseckey, recoveryData []byte) (*Output, *SessionParams, error) {
	a, cert, err := parseRecovery(recoveryData)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRecoveryData, err)
	}
	params := a.params
	eqInput := recoveryData[:len(recoveryData)-sigSize*params.N()]
	if id := certEq.culprit(params, eqInput, cert); id >= 0 {
		return nil, nil, fmt.Errorf("%w: signature %d of the certificate is invalid", ErrRecoveryData, id)
	}
	keys, err := a.publicKeys()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRecoveryData, err)
	}
	if hostseckey == nil {
		return a.output(keys, nil), params, nil
	}
	h, id, err := params.member(hostseckey)
	if err != nil {
		return nil, nil, err
	}
	defer h.Wipe()
	share, pads := a.decrypt(id, h)
	defer share.Wipe()
	wipe(pads)
	// The owner of the key has checked this before it signed, unless its key was
	// used by somebody else.
	if !secp.SecretBaseMul(share.Add(keys.tweak)).Equal(keys.points[id]) {
		return nil, nil, fmt.Errorf("%w: it does not contain the share of participant %d", ErrRecoveryData, id)
	}
	return a.output(keys, &share), params, nil
}
