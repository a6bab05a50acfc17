package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "frostfed/internal/api/frostfed/v1"
)

func (a *app) eventsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "events",
		Short: "Follow what happens, one line per event",
		Long: `Follow what happens from now on, one line per event, until interrupted. The first
event says that the stream is open.

JSON: one StreamEventsResponse of the API per line.`,
		Example: "  frostfed events\n  frostfed events --json | jq -c 'select(.fault)'",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			events, err := c.StreamEvents(ctx, connect.NewRequest(&v1.StreamEventsRequest{}))
			if err != nil {
				return err
			}
			defer events.Close()
			for events.Receive() {
				e := events.Msg()
				if err := a.show(e, func(w io.Writer) { fmt.Fprintln(w, eventLine(e)) }); err != nil {
					return err
				}
			}
			if ctx.Err() != nil { // interrupted, as it is meant to end
				return nil
			}
			if err := events.Err(); err != nil {
				return err
			}
			return notReady(errors.New("the daemon stopped"), "frostfed run")
		},
	}
}

// eventLine shows any event, also kinds that are added later: its time, its name,
// and the fields that are set.
func eventLine(e *v1.StreamEventsResponse) string {
	m := e.ProtoReflect()
	kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("event"))
	if kind == nil {
		return when(e.Time) + "  unknown"
	}
	parts := []string{when(e.Time), fmt.Sprintf("%-18s", strings.ReplaceAll(string(kind.Name()), "_", " "))}
	body := m.Get(kind).Message()
	described := body.Descriptor().Fields()
	for i := range described.Len() {
		if f := described.Get(i); body.Has(f) {
			parts = append(parts, string(f.Name())+"="+clean(eventValue(f, body.Get(f))))
		}
	}
	return strings.TrimRight(strings.Join(parts, "  "), " ")
}

func eventValue(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if f.IsList() {
		var words []string
		for i := range v.List().Len() {
			words = append(words, eventWord(f, v.List().Get(i)))
		}
		return strings.Join(words, ",")
	}
	return eventWord(f, v)
}

func eventWord(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.MessageKind:
		switch m := v.Message().Interface().(type) {
		case *v1.Member:
			return memberName(m)
		case *v1.Verdict:
			return strings.TrimSuffix(m.Rule+": "+m.Reason, ": ")
		case *v1.Block:
			return fmt.Sprintf("%d/%s", m.Height, m.Hash)
		}
	case protoreflect.EnumKind:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			name := string(value.Name())
			return strings.ToLower(name[strings.LastIndex(name, "_")+1:])
		}
	case protoreflect.Int64Kind:
		if f.Name() == "amount" || f.Name() == "total" {
			return amount(v.Int())
		}
	case protoreflect.StringKind:
		if id := v.String(); strings.HasSuffix(string(f.Name()), "_id") || f.Name() == "ceremony" {
			return short(id)
		}
	}
	return fmt.Sprint(v.Interface())
}
