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

func TestParticipantStep1Vectors(t *testing.T) {
	const file = "chilldkg/participant_step1_vectors.json"
	type testCase struct {
		vectorCase
		Hostseckey, Random hexBytes
		Params             vectorParams
		ExpectedPmsg1      hexBytes
	}
	var v struct {
		TestGroups []struct{ ValidTestCases, ErrorTestCases []testCase }
	}
	vectortest.Load(t, file, "3c28c7e31d749053b2215851599c1da7058b07a7ed9a817c24a2810582703d0e", &v)
	ran := 0
	for _, g := range v.TestGroups {
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				var pmsg1 []byte
				params, err := c.Params.parse()
				if err == nil {
					_, pmsg1, err = ParticipantStep1(c.Hostseckey, params, c.Random)
				}
				if c.ExpectedPmsg1 == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "pmsg1", pmsg1, c.ExpectedPmsg1)
			})
		}
	}
	vectortest.Count(t, file, ran, 39)
}

// vectorParticipant is the setup of the later participant steps.
type vectorParticipant struct {
	Params                      vectorParams
	Hostseckey, Random, AuxRand hexBytes
	Pmsg1                       hexBytes
}

func (p vectorParticipant) step1(t *testing.T) *ParticipantState1 {
	t.Helper()
	state, pmsg1, err := ParticipantStep1(p.Hostseckey, p.Params.must(t), p.Random)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "pmsg1", pmsg1, p.Pmsg1)
	return state
}

func TestParticipantStep2Vectors(t *testing.T) {
	const file = "chilldkg/participant_step2_vectors.json"
	type testCase struct {
		vectorCase
		Hostseckey, AuxRand  hexBytes // override the group's
		Cmsg1, ExpectedPmsg2 hexBytes
	}
	var v struct {
		TestGroups []struct {
			vectorParticipant
			ValidTestCases, ErrorTestCases []testCase
		}
	}
	vectortest.Load(t, file, "94a034968ccf9cf69284f8a446de9b7e0e5ae30605ae90ecb8e765be3f537350", &v)
	ran := 0
	for _, g := range v.TestGroups {
		state := g.step1(t)
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				hostseckey, auxRand := g.Hostseckey, g.AuxRand
				if c.Hostseckey != nil {
					hostseckey = c.Hostseckey
				}
				if c.AuxRand != nil {
					auxRand = c.AuxRand
				}
				_, pmsg2, err := ParticipantStep2(hostseckey, state, c.Cmsg1, auxRand)
				if c.ExpectedPmsg2 == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "pmsg2", pmsg2, c.ExpectedPmsg2)
			})
		}
	}
	vectortest.Count(t, file, ran, 55)
}

func TestParticipantFinalizeVectors(t *testing.T) {
	const file = "chilldkg/participant_finalize_vectors.json"
	type testCase struct {
		vectorCase
		Cmsg2          hexBytes
		ExpectedOutput *struct {
			DkgOutput    vectorOutput
			RecoveryData hexBytes
		}
	}
	var v struct {
		TestGroups []struct {
			vectorParticipant
			Cmsg1, Pmsg2                   hexBytes
			ValidTestCases, ErrorTestCases []testCase
		}
	}
	vectortest.Load(t, file, "298fdb44a940d2fde24a3e7665fd600e7a658ae6acc448165164c79580c9c6d4", &v)
	ran := 0
	for _, g := range v.TestGroups {
		state, pmsg2, err := ParticipantStep2(g.Hostseckey, g.step1(t), g.Cmsg1, g.AuxRand)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "pmsg2", pmsg2, g.Pmsg2)
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				out, recovery, err := ParticipantFinalize(state, c.Cmsg2)
				if c.ExpectedOutput == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				c.ExpectedOutput.DkgOutput.check(t, out, g.Params.T)
				equal(t, "recovery data", recovery, c.ExpectedOutput.RecoveryData)
			})
		}
	}
	vectortest.Count(t, file, ran, 12)
}

func TestParticipantInvestigateVectors(t *testing.T) {
	const file = "chilldkg/participant_investigate_vectors.json"
	var v struct {
		TestGroups []struct {
			vectorParticipant
			Cmsg1Pool      []hexBytes
			ErrorTestCases []struct {
				vectorCase
				Cmsg1Index int
				CinvMsg    hexBytes
			}
		}
	}
	vectortest.Load(t, file, "088f7f3bcd1bbe70e5ea70a1d70bac31ad9b5743ddd266d19854e0f6e2b7c458", &v)
	ran := 0
	for _, g := range v.TestGroups {
		state := g.step1(t)
		for _, c := range g.ErrorTestCases {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				_, _, err := ParticipantStep2(g.Hostseckey, state, g.Cmsg1Pool[c.Cmsg1Index], g.AuxRand)
				var unknown *UnknownFaultyParticipantOrCoordinatorError
				if !errors.As(err, &unknown) {
					t.Fatalf("step 2 returned %v", err)
				}
				c.ExpectedError.check(t, ParticipantInvestigate(unknown, c.CinvMsg))
			})
		}
	}
	vectortest.Count(t, file, ran, 8)
}

func TestCoordinatorStep1Vectors(t *testing.T) {
	const file = "chilldkg/coordinator_step1_vectors.json"
	type testCase struct {
		vectorCase
		Pmsg1Indices  []int
		Params        vectorParams
		ExpectedCmsg1 hexBytes
	}
	var v struct {
		TestGroups []struct {
			Pmsg1Pool                      []hexBytes
			ValidTestCases, ErrorTestCases []testCase
		}
	}
	vectortest.Load(t, file, "293ce1de008f7c028ef76c06f73cfc8312ef1820b1b00481b47a4b721d08f4a8", &v)
	ran := 0
	for _, g := range v.TestGroups {
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				var cmsg1 []byte
				params, err := c.Params.parse()
				if err == nil {
					_, cmsg1, err = CoordinatorStep1(pick(g.Pmsg1Pool, c.Pmsg1Indices), params)
				}
				if c.ExpectedCmsg1 == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "cmsg1", cmsg1, c.ExpectedCmsg1)
			})
		}
	}
	vectortest.Count(t, file, ran, 33)
}

func pick(pool []hexBytes, indices []int) [][]byte {
	picked := make([][]byte, len(indices))
	for i, index := range indices {
		picked[i] = pool[index]
	}
	return picked
}

func TestCoordinatorFinalizeVectors(t *testing.T) {
	const file = "chilldkg/coordinator_finalize_vectors.json"
	type testCase struct {
		vectorCase
		Pmsg2Indices   []int
		ExpectedOutput *struct {
			Cmsg2        hexBytes
			DkgOutput    vectorOutput
			RecoveryData hexBytes
		}
	}
	var v struct {
		TestGroups []struct {
			Params                         vectorParams
			Pmsgs1                         []hexBytes
			Cmsg1                          hexBytes
			Pmsg2Pool                      []hexBytes
			ValidTestCases, ErrorTestCases []testCase
		}
	}
	vectortest.Load(t, file, "ff8a208a88dd7ee46aefa9e7567020ed3db80cc03a210217a67e3a187b421e7d", &v)
	ran := 0
	for _, g := range v.TestGroups {
		state, cmsg1, err := CoordinatorStep1(raw(g.Pmsgs1), g.Params.must(t))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "cmsg1", cmsg1, g.Cmsg1)
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				cmsg2, out, recovery, err := CoordinatorFinalize(state, pick(g.Pmsg2Pool, c.Pmsg2Indices))
				if c.ExpectedOutput == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "cmsg2", cmsg2, c.ExpectedOutput.Cmsg2)
				c.ExpectedOutput.DkgOutput.check(t, out, g.Params.T)
				equal(t, "recovery data", recovery, c.ExpectedOutput.RecoveryData)
			})
		}
	}
	vectortest.Count(t, file, ran, 15)
}

func TestCoordinatorInvestigateVectors(t *testing.T) {
	const file = "chilldkg/coordinator_investigate_vectors.json"
	type testCase struct {
		vectorCase
		ExpectedCinvMsgs []hexBytes
	}
	var v struct {
		TestGroups []struct {
			Params                         vectorParams
			Pmsgs1                         []hexBytes
			ValidTestCases, ErrorTestCases []testCase
		}
	}
	vectortest.Load(t, file, "b35800ea1ffce5227cb23a61421fe2b541923b86ebecc8328cdc767bf823714f", &v)
	ran := 0
	for _, g := range v.TestGroups {
		for _, c := range join(g.ValidTestCases, g.ErrorTestCases) {
			ran++
			t.Run(c.name(), func(t *testing.T) {
				cinvs, err := CoordinatorInvestigate(raw(g.Pmsgs1), g.Params.must(t))
				if c.ExpectedCinvMsgs == nil {
					c.ExpectedError.check(t, err)
					return
				}
				if err != nil || len(cinvs) != len(c.ExpectedCinvMsgs) {
					t.Fatalf("%d messages, %v", len(cinvs), err)
				}
				for i := range cinvs {
					equal(t, fmt.Sprintf("message %d", i), cinvs[i], c.ExpectedCinvMsgs[i])
				}
			})
		}
	}
	vectortest.Count(t, file, ran, 3)
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
