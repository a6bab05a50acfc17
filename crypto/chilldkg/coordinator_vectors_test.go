//go:build !toygroup

package chilldkg

import (
	"fmt"
	"testing"

	"frostfed/crypto/internal/vectortest"
)

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
