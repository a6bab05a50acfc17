//go:build !toygroup

package chilldkg

import (
	"errors"
	"testing"

	"frostfed/crypto/internal/vectortest"
)

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
