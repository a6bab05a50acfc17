package api

import (
	"context"
	"errors"
	"fmt"
	"testing"

	v1 "frostfed/internal/api/frostfed/v1"
)

func TestOnce(t *testing.T) {
	a, runs := newAnswers(), 0
	call := func(procedure, key, label string, fail error) (string, error) {
		reply, err := once(t.Context(), a, procedure, key, &v1.NewKeyRequest{Label: label}, func() (*v1.NewKeyResponse, error) {
			runs++
			return &v1.NewKeyResponse{Ceremony: fmt.Sprint(runs)}, fail
		})
		return reply.GetCeremony(), err
	}
	refused := errors.New("refused")
	for _, tc := range []struct {
		name, procedure, key, label string
		fail                        error
		want                        string
		err                         error
	}{
		{"first", "new", "k", "main", nil, "1", nil},
		{"repeated", "new", "k", "main", nil, "1", nil},
		{"another request", "new", "k", "other", nil, "", errKeyReused},
		{"another procedure", "pay", "k", "main", nil, "2", nil},
		{"no key", "new", "", "main", nil, "3", nil},
		{"no key again", "new", "", "main", nil, "4", nil},
		{"refused", "new", "l", "main", refused, "", refused},
		{"lifted", "new", "l", "main", nil, "6", nil},
	} {
		if got, err := call(tc.procedure, tc.key, tc.label, tc.fail); got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v", tc.name, got, err)
		}
	}
	for i := range maxAnswers {
		if _, err := call("new", fmt.Sprint(i), "main", nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.known) != maxAnswers || len(a.order) != maxAnswers {
		t.Errorf("%d answers are kept, %d in order", len(a.known), len(a.order))
	}
	runs = 0
	if got, err := call("new", "k", "main", nil); got != "1" || err != nil || runs != 1 {
		t.Errorf("the oldest answer was not forgotten: %q, %v", got, err)
	}
}

func TestOnceWaitsForTheFirstCall(t *testing.T) {
	a := newAnswers()
	request := &v1.NewKeyRequest{Label: "main"}
	begun, finish := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := once(t.Context(), a, "new", "k", request, func() (*v1.NewKeyResponse, error) {
			close(begun)
			<-finish
			return &v1.NewKeyResponse{Ceremony: "1"}, nil
		})
		first <- err
	}()
	<-begun
	gone, leave := context.WithCancel(t.Context())
	leave()
	second := func(ctx context.Context) (*v1.NewKeyResponse, error) {
		return once(ctx, a, "new", "k", request, func() (*v1.NewKeyResponse, error) { return nil, errors.New("ran twice") })
	}
	if _, err := second(gone); !errors.Is(err, context.Canceled) {
		t.Fatalf("a caller that left got %v", err)
	}
	close(finish)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if got, err := second(t.Context()); err != nil || got.Ceremony != "1" {
		t.Fatalf("got %v, %v", got, err)
	}
}
