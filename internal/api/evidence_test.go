package api

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"connectrpc.com/connect"

	"frostfed/crypto/memberkey"
	"frostfed/evidence"
	v1 "frostfed/internal/api/frostfed/v1"
	"frostfed/protocols"
	"frostfed/protocols/echo"
	"frostfed/protocols/membership"
)

// perjury is evidence that alice, the only member of the kit's federation, signed two
// broadcasts under one topic, as the record that a member keeps of it.
func perjury(t *testing.T, keys *memberkey.Keys, charter *membership.Charter) (evidence.Verdict, protocols.Record) {
	t.Helper()
	sent := func(payload string) echo.Delivered {
		m, err := echo.New(echo.Config{Federation: charter.ID(), Self: charter.Members()[0], Members: charter.Members(),
			Sign: func(p []byte) ([]byte, error) {
				var aux [32]byte
				rand.Read(aux[:])
				sig, err := keys.Host.Sign(p, aux)
				return sig[:], err
			},
			Verify: func(_ protocols.NodeID, p, sig []byte) bool {
				public := keys.Host.Public()
				return memberkey.Verify(public[:], p, sig)
			}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := m.Broadcast(0, "topic", []byte(payload))
		if err != nil || len(e.Out) != 1 {
			t.Fatalf("%+v %v", e, err)
		}
		return e.Out[0]
	}
	a, b := sent("one"), sent("two")
	if bytes.Compare(a.Hash[:], b.Hash[:]) > 0 {
		a, b = b, a
	}
	id := []byte(charter.Members()[0])
	proof := slices.Concat([]byte{1, byte(len(id))}, id, []byte("\x05topic"), a.Hash[:], a.Signature[:], b.Hash[:], b.Signature[:])
	v, err := (&evidence.Evidence{Charter: charter, Source: evidence.Echo, Proof: proof}).Verify()
	if err != nil {
		t.Fatal(err)
	}
	// version, source, own, culprit, height, kind, place, proof
	value := slices.Concat([]byte{1, 1, 1, 0, 0, 0, 0, 7, byte(len(v.Kind))}, []byte(v.Kind), []byte{0, byte(len(v.Place))}, []byte(v.Place), proof)
	return v, protocols.Record{Key: "f/e/" + v.ID.String(), Value: value}
}

func TestEvidence(t *testing.T) {
	var want evidence.Verdict
	m := newMemberWith(t, nil, func(keys *memberkey.Keys, charter *membership.Charter) []protocols.Record {
		v, record := perjury(t, keys, charter)
		want = v
		return []protocols.Record{record}
	})
	all := ok[v1.ListEvidenceResponse](t)(m.client.ListEvidence(t.Context(), ask(&v1.ListEvidenceRequest{})))
	if len(all.Evidence) != 1 || len(all.Suspicions) != 0 {
		t.Fatalf("%v", all)
	}
	if e := all.Evidence[0]; e.Id != want.ID.String() || e.Culprit.Name != "alice" || e.Kind != "equivocation" || e.Place != "topic" || e.Height != 7 || !e.Own {
		t.Errorf("%v", e)
	}
	for _, name := range []string{want.ID.String(), want.ID.String()[:4]} {
		reply := ok[v1.ExportEvidenceResponse](t)(m.client.ExportEvidence(t.Context(), ask(&v1.ExportEvidenceRequest{Id: name})))
		e, err := evidence.Parse(reply.File)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := e.Verify(); err != nil || v != want {
			t.Errorf("%+v %v", v, err)
		}
	}
	for _, name := range []string{"", "abc", "zzzz", want.ID.String() + "0"} {
		if _, err := m.client.ExportEvidence(t.Context(), ask(&v1.ExportEvidenceRequest{Id: name})); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}
