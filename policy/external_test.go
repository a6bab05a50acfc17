package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

var externalVerdicts = []struct {
	name    string
	exit    int
	timeout bool
	stdout  string
	want    Rule
	reason  string // "" if any
}{
	{"yes", 0, false, "", Allowed, ""},
	{"yes with a newline", 0, false, "\n", Allowed, ""},
	{"yes in JSON", 0, false, `{"allow":true,"reason":"fine"}`, Allowed, ""},
	{"no", 1, false, "", ExternalRefused, ""},
	{"no in JSON", 1, false, `{"allow":false,"reason":"not on Sundays"}`, ExternalRefused, "not on Sundays"},
	{"no with control characters", 1, false, `{"allow":false,"reason":"a\u001b[31mb"}`, ExternalRefused, "a [31mb"},
	{"time-out", 0, true, `{"allow":true}`, ExternalTimeout, ""},
	{"usage error", 2, false, "", ExternalFailed, ""},
	{"not found", 127, false, "", ExternalFailed, ""},
	{"killed", -1, false, `{"allow":true}`, ExternalFailed, ""},
	{"code says yes, text no", 0, false, `{"allow":false}`, ExternalGarbage, ""},
	{"code says no, text yes", 1, false, `{"allow":true}`, ExternalGarbage, ""},
	{"no word on it", 0, false, `{"reason":"?"}`, ExternalGarbage, ""},
	{"null", 0, false, `{"allow":null}`, ExternalGarbage, ""},
	{"not JSON", 0, false, "ok", ExternalGarbage, ""},
	{"unknown key", 0, false, `{"allow":true,"signature":"x"}`, ExternalGarbage, ""},
	{"two answers", 0, false, `{"allow":true}{"allow":true}`, ExternalGarbage, ""},
	{"not UTF-8", 0, false, "{\"allow\":true,\"reason\":\"\xff\"}", ExternalGarbage, ""},
	{"too long", 0, false, `{"allow":true,"reason":"` + strings.Repeat("x", MaxExternalOutput) + `"}`, ExternalGarbage, ""},
	{"spaces without end", 0, false, strings.Repeat(" ", MaxExternalOutput+1), ExternalGarbage, ""},
}

func TestExternalVerdict(t *testing.T) {
	for _, r := range externalVerdicts {
		t.Run(r.name, func(t *testing.T) {
			v := ExternalVerdict(r.exit, r.timeout, []byte(r.stdout))
			if v.Rule != r.want || v.Allow != (r.want == Allowed) || r.reason != "" && v.Reason != r.reason {
				t.Errorf("got %v, want %s", v, r.want)
			}
		})
	}
}

// The schema is a contract with other people's commands.
func TestExternalRequestGolden(t *testing.T) {
	s := spendOf(t, 1, 60_000)
	got, err := json.MarshalIndent(TransactionRequest([32]byte{0xab}, s), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != goldenRequest {
		t.Errorf("got\n%s", got)
	}
	got, err = json.Marshal(MessageRequest([32]byte{0xab}, "bitcoin", []byte{2, 3}, []byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"request":"ab` + strings.Repeat("00", 31) + `","kind":"message","key":"0203","message":"68656c6c6f","suite":"bitcoin"}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}
