//go:build !toygroup

package chilldkg

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"frostfed/crypto/internal/vectortest"
)

// hexBytes decodes a JSON string of hex digits; null gives nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	var err error
	*h, err = hex.DecodeString(*s)
	if *h == nil {
		*h = hexBytes{}
	}
	return err
}

func raw(hs []hexBytes) [][]byte {
	bs := make([][]byte, len(hs))
	for i, h := range hs {
		bs[i] = h
	}
	return bs
}

type vectorParams struct {
	Hostpubkeys []hexBytes
	T           int
}

func (p vectorParams) parse() (*SessionParams, error) {
	return NewSessionParams(raw(p.Hostpubkeys), p.T)
}

func (p vectorParams) must(t *testing.T) *SessionParams {
	t.Helper()
	params, err := p.parse()
	if err != nil {
		t.Fatal(err)
	}
	return params
}

// vectorError is the draft's exception: its name and, where it has them, the
// ids that it blames.
type vectorError struct {
	Type           string
	ParticipantID  *int `json:"participantId"`
	ParticipantID1 *int `json:"participantId1"`
	ParticipantID2 *int `json:"participantId2"`
}

func (e vectorError) String() string {
	var b strings.Builder
	b.WriteString(e.Type)
	for _, id := range []*int{e.ParticipantID, e.ParticipantID1, e.ParticipantID2} {
		if id != nil {
			fmt.Fprintf(&b, " %d", *id)
		}
	}
	return b.String()
}

// exception maps an error to the draft's exception.
func exception(err error) vectorError {
	var (
		hostpubkey  *InvalidHostPubkeyError
		duplicate   *DuplicateHostPubkeyError
		participant *FaultyParticipantError
		either      *FaultyParticipantOrCoordinatorError
		coordinator *FaultyCoordinatorError
		unknown     *UnknownFaultyParticipantOrCoordinatorError
	)
	switch {
	case err == nil:
		return vectorError{Type: "none"}
	case errors.Is(err, ErrRecoveryData): // first: it wraps what is wrong with the data
		return vectorError{Type: "RecoveryDataError"}
	case errors.Is(err, ErrMalformed):
		return vectorError{Type: "ValueError"}
	case errors.Is(err, ErrHostSeckey):
		return vectorError{Type: "HostSeckeyError"}
	case errors.Is(err, ErrRandomness):
		return vectorError{Type: "RandomnessError"}
	case errors.Is(err, ErrThresholdOrCount):
		return vectorError{Type: "ThresholdOrCountError"}
	case errors.As(err, &hostpubkey):
		return vectorError{Type: "InvalidHostPubkeyError", ParticipantID: &hostpubkey.Participant}
	case errors.As(err, &duplicate):
		return vectorError{Type: "DuplicateHostPubkeyError", ParticipantID1: &duplicate.Participant1, ParticipantID2: &duplicate.Participant2}
	case errors.As(err, &participant):
		return vectorError{Type: "FaultyParticipantError", ParticipantID: &participant.Participant}
	case errors.As(err, &either):
		return vectorError{Type: "FaultyParticipantOrCoordinatorError", ParticipantID: &either.Participant}
	case errors.As(err, &coordinator):
		return vectorError{Type: "FaultyCoordinatorError"}
	case errors.As(err, &unknown):
		return vectorError{Type: "UnknownFaultyParticipantOrCoordinatorError"}
	}
	return vectorError{Type: "unexpected: " + err.Error()}
}

func (e vectorError) check(t *testing.T, err error) {
	t.Helper()
	if got := exception(err); got.String() != e.String() {
		t.Errorf("got %v (%v), want %v", got, err, e)
	}
}

type vectorOutput struct {
	SecShare  hexBytes `json:"secshare"`
	ThreshPK  hexBytes `json:"threshPk"`
	PubShares []hexBytes
}

func (want vectorOutput) check(t *testing.T, got *Output, tt int) {
	t.Helper()
	if got.T != tt || !bytes.Equal(got.ThreshPK[:], want.ThreshPK) || len(got.PubShares) != len(want.PubShares) {
		t.Fatalf("output is (%d, %x, %d shares)", got.T, got.ThreshPK, len(got.PubShares))
	}
	for i, y := range got.PubShares {
		if !bytes.Equal(y[:], want.PubShares[i]) {
			t.Errorf("public share %d is %x", i, y)
		}
	}
	switch {
	case want.SecShare == nil:
		if got.SecShare != nil {
			t.Error("secret share where there is none")
		}
	case !bytes.Equal(got.SecShare.Bytes(), want.SecShare):
		t.Error("secret share differs")
	}
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%x, want\n%x", what, got, want)
	}
}

// name labels a case with its number and comment.
func (c vectorCase) name() string { return fmt.Sprintf("%d %s", c.TcID, c.Comment) }

// vectorCase has the fields common to all cases.
type vectorCase struct {
	TcID          int `json:"tcId"`
	Comment       string
	ExpectedError vectorError
}

// join is the list of valid and error cases together: each runs alike, and
// exception(nil) is not an expected error.
func join[C any](valid, failing []C) []C { return append(append([]C(nil), valid...), failing...) }

func TestHostPubkeyGenVectors(t *testing.T) {
	const file = "chilldkg/hostpubkey_gen_vectors.json"
	type testCase struct {
		vectorCase
		Hostseckey         hexBytes
		ExpectedHostpubkey hexBytes
	}
	var v struct{ ValidTestCases, ErrorTestCases []testCase }
	vectortest.Load(t, file, "47a172ebf42af9e72a3f30092043091eaa9b7915354aa064fd842db9b5d7281e", &v)
	ran := 0
	for _, c := range join(v.ValidTestCases, v.ErrorTestCases) {
		ran++
		t.Run(c.name(), func(t *testing.T) {
			got, err := HostPubkeyGen(c.Hostseckey)
			if c.ExpectedHostpubkey == nil {
				c.ExpectedError.check(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "host public key", got[:], c.ExpectedHostpubkey)
		})
	}
	vectortest.Count(t, file, ran, 3)
}

func TestParamsHashVectors(t *testing.T) {
	const file = "chilldkg/params_hash_vectors.json"
	type testCase struct {
		vectorCase
		Params             vectorParams
		ExpectedParamsHash hexBytes
	}
	var v struct{ ValidTestCases, ErrorTestCases []testCase }
	vectortest.Load(t, file, "2c35e3355042f5c48e7665cc493eddab209efbdd9bbb314858fdff1f9dbe87ba", &v)
	ran := 0
	for _, c := range join(v.ValidTestCases, v.ErrorTestCases) {
		ran++
		t.Run(c.name(), func(t *testing.T) {
			params, err := c.Params.parse()
			if c.ExpectedParamsHash == nil {
				c.ExpectedError.check(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			hash := params.Hash()
			equal(t, "params hash", hash[:], c.ExpectedParamsHash)
		})
	}
	vectortest.Count(t, file, ran, 4)
}

func TestRecoverVectors(t *testing.T) {
	const file = "chilldkg/recover_vectors.json"
	type testCase struct {
		vectorCase
		Hostseckey, RecoveryData hexBytes
		ExpectedOutput           *struct {
			DkgOutput vectorOutput
			Params    vectorParams
		}
	}
	var v struct{ ValidTestCases, ErrorTestCases []testCase }
	vectortest.Load(t, file, "3d3f22ee0cf4e39370e303849f5c54ff318e4de21ca3f8ae865619a55b1160f6", &v)
	ran := 0
	for _, c := range join(v.ValidTestCases, v.ErrorTestCases) {
		ran++
		t.Run(c.name(), func(t *testing.T) {
			out, params, err := Recover(c.Hostseckey, c.RecoveryData)
			if c.ExpectedOutput == nil {
				c.ExpectedError.check(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.ExpectedOutput.DkgOutput.check(t, out, c.ExpectedOutput.Params.T)
			if params.Hash() != c.ExpectedOutput.Params.must(t).Hash() {
				t.Error("session parameters differ")
			}
		})
	}
	vectortest.Count(t, file, ran, 8)
}
