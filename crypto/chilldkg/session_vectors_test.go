//go:build !toygroup

package chilldkg

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"frostfed/crypto/internal/vectortest"
)

// TestSessionVectors runs whole sessions and compares every message.
func TestSessionVectors(t *testing.T) {
	const file = "chilldkg/session_vectors.json"
	var sessions []struct {
		N, T         int
		Hostseckeys  []hexBytes
		Randoms      []hexBytes
		AuxRands     []hexBytes `json:"aux_rands"`
		AckAuxRands  []hexBytes `json:"ack_aux_rands"`
		Hostpubkeys  []hexBytes
		ParamsHash   hexBytes `json:"params_hash"`
		Pmsgs1       []hexBytes
		Cmsg1        hexBytes
		Pmsgs2       []hexBytes
		RecoveryData hexBytes   `json:"recovery_data"`
		AckSigs      []hexBytes `json:"ack_sigs"`
		ThreshPK     hexBytes   `json:"thresh_pk"`
		PubShares    []hexBytes
		SecShares    []hexBytes
	}
	vectortest.Load(t, file, "014ed78747b5194e7d7c40773fe7b4b98ef678ed8ab5854699aefd6bdd1d456b", &sessions)
	for _, s := range sessions {
		t.Run(fmt.Sprintf("%d of %d", s.T, s.N), func(t *testing.T) {
			for i, key := range s.Hostseckeys {
				pub, err := HostPubkeyGen(key)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "host public key", pub[:], s.Hostpubkeys[i])
			}
			params := vectorParams{Hostpubkeys: s.Hostpubkeys, T: s.T}.must(t)
			hash := params.Hash()
			equal(t, "params hash", hash[:], s.ParamsHash)

			states := make([]*ParticipantState1, s.N)
			for i := range states {
				var pmsg1 []byte
				var err error
				if states[i], pmsg1, err = ParticipantStep1(s.Hostseckeys[i], params, s.Randoms[i]); err != nil {
					t.Fatal(err)
				}
				equal(t, "pmsg1", pmsg1, s.Pmsgs1[i])
			}
			coordinator, cmsg1, err := CoordinatorStep1(raw(s.Pmsgs1), params)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "cmsg1", cmsg1, s.Cmsg1)
			states2 := make([]*ParticipantState2, s.N)
			for i := range states {
				var pmsg2 []byte
				if states2[i], pmsg2, err = ParticipantStep2(s.Hostseckeys[i], states[i], cmsg1, s.AuxRands[i]); err != nil {
					t.Fatal(err)
				}
				equal(t, "pmsg2", pmsg2, s.Pmsgs2[i])
			}
			cmsg2, out, recovery, err := CoordinatorFinalize(coordinator, raw(s.Pmsgs2))
			if err != nil {
				t.Fatal(err)
			}
			public := vectorOutput{ThreshPK: s.ThreshPK, PubShares: s.PubShares}
			public.check(t, out, s.T)
			equal(t, "recovery data", recovery, s.RecoveryData)
			for i := range states2 {
				want := public
				want.SecShare = s.SecShares[i]
				out, recovery, err := ParticipantFinalize(states2[i], cmsg2)
				if err != nil {
					t.Fatal(err)
				}
				want.check(t, out, s.T)
				equal(t, "recovery data", recovery, s.RecoveryData)
				ack, err := RecoveryAckSign(s.Hostseckeys[i], params, recovery, s.AckAuxRands[i])
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "acknowledgement", ack[:], s.AckSigs[i])
				if err := RecoveryAckVerify(params, i, recovery, ack[:]); err != nil {
					t.Error(err)
				}
				recovered, _, err := Recover(s.Hostseckeys[i], recovery)
				if err != nil {
					t.Fatal(err)
				}
				want.check(t, recovered, s.T)
			}
			recovered, _, err := Recover(nil, recovery)
			if err != nil {
				t.Fatal(err)
			}
			public.check(t, recovered, s.T)
		})
	}
	vectortest.Count(t, file, len(sessions), 2)
}

// TestComplaintVectors judges complaints; where the complaint is one that the
// honest complainant makes, it also makes it.
func TestComplaintVectors(t *testing.T) {
	const file = "complaint/complaint_vectors.json"
	var v struct {
		T                   int
		Hostpubkeys         []hexBytes
		HostseckeyComplaint hexBytes `json:"hostseckey_complainant"`
		AuxRandComplaint    hexBytes `json:"aux_rand_complainant"`
		ParamsHash          hexBytes `json:"params_hash"`
		CeremonyID          hexBytes `json:"ceremony_id"`
		Attempt             uint32
		SessionID           hexBytes `json:"session_id"`
		Cases               []struct {
			TcID          int `json:"tc_id"`
			Comment       string
			Pmsgs1        []hexBytes
			NoncePoKs     []hexBytes `json:"nonce_poks"`
			Complaint     hexBytes
			ExpectedGuilt string `json:"expected_guilty"`
		}
	}
	vectortest.Load(t, file, "c146e06f058a2c63623c439357778ffbf48bbe49838820877d59efae7d1bf256", &v)
	params := vectorParams{Hostpubkeys: v.Hostpubkeys, T: v.T}.must(t)
	hash := params.Hash()
	equal(t, "params hash", hash[:], v.ParamsHash)
	session := params.SessionID([32]byte(v.CeremonyID), v.Attempt)
	equal(t, "session id", session[:], v.SessionID)
	complainant, err := HostPubkeyGen(v.HostseckeyComplaint)
	if err != nil {
		t.Fatal(err)
	}
	sender, ok := params.Index(complainant)
	if !ok {
		t.Fatal("complainant is not a participant")
	}
	made := 0
	for _, c := range v.Cases {
		t.Run(fmt.Sprintf("%d %s", c.TcID, c.Comment), func(t *testing.T) {
			m1s := make([][]byte, len(c.Pmsgs1))
			for i := range m1s {
				m1s[i] = append(bytes.Clone(c.Pmsgs1[i]), c.NoncePoKs[i]...)
			}
			_, accused, err := ComplaintParties(params, c.Complaint)
			if c.ExpectedGuilt == "malformed" {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			guilty, err := Judge(params, session, sender, c.Complaint, m1s[accused])
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{"accused": accused, "complainant": sender}[c.ExpectedGuilt]; guilty != want {
				t.Errorf("participant %d is guilty, want %d", guilty, want)
			}

			dealings := make([]*Dealing, len(m1s))
			for i, m1 := range m1s {
				if dealings[i], err = OpenDealing(params, session, i, m1); err != nil {
					return
				}
			}
			round, err := Combine(dealings)
			if err != nil {
				t.Fatal(err)
			}
			complaint, err := round.Complain(v.HostseckeyComplaint, accused, v.AuxRandComplaint)
			if errors.Is(err, ErrShareValid) {
				if c.ExpectedGuilt == "accused" {
					t.Error("share of the guilty accused is valid")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.ExpectedGuilt == "accused" {
				made++
				equal(t, "complaint", complaint, c.Complaint)
			}
		})
	}
	if made == 0 {
		t.Error("no complaint was made")
	}
	vectortest.Count(t, file, len(v.Cases), 14)
}
