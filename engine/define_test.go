package engine

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine/world"
)

type API struct {
	Endpoints []string `play:"endpoints"`
}

type inner struct {
	ID  string `play:"id"`
	Big uint64 `play:"big"`
}

type everyArgs struct {
	API
	Name   string            `play:"name,required,nosecret,unit" doc:"The name."`
	Mode   *string           `play:"mode,mode" default:"as it is"`
	State  string            `play:"state,required" enum:"started stopped"`
	Env    map[string]string `play:"env"`
	Codes  []int             `play:"codes"`
	Inners []inner           `play:"inners"`
	Deep   *inner            `play:"deep"`
	On     bool              `play:"enabled"`
	Ratio  float64           `play:"ratio"`
}

type everyState struct {
	Seen string
}

type everyResults struct {
	Name    string  `play:"name"`
	Members []inner `play:"members"`
	Token   string  `play:"token,sensitive"`
	Maybe   *string `play:"maybe"`
}

func everySpec() Spec[everyArgs, everyState, everyResults] {
	return Spec[everyArgs, everyState, everyResults]{
		Name: "every", Doc: "All kinds of fields.", Effect: Change, Where: OnHost,
		Observe: func(_ context.Context, _ Look, a everyArgs) (everyState, error) {
			return everyState{Seen: a.Name}, nil
		},
		Plan: func(p Planning, a everyArgs, s everyState) (Planned, everyResults) {
			sum := a.Name
			if p.Unknown["name"] {
				sum = "unknown name"
			}
			return Planned{Needed: true, Summary: sum, Unknown: []string{"maybe", "members"}}, everyResults{Name: a.Name}
		},
		Apply: func(_ context.Context, _ Hands, a everyArgs, s everyState) (everyResults, error) {
			return everyResults{Name: s.Seen, Members: a.Inners, Token: "t0ken"}, nil
		},
		Advance: func(host, _ string, a everyArgs, r everyResults, w *world.World) {
			w.Host(host).Units[a.Name] = r.Name
		},
	}
}

func everyValue() cty.Value {
	return cty.ObjectVal(map[string]cty.Value{
		"endpoints": cty.ListVal([]cty.Value{cty.StringVal("http://x")}),
		"name":      cty.StringVal("a.service"),
		"mode":      cty.NullVal(cty.String),
		"state":     cty.StringVal("started"),
		"env":       cty.MapVal(map[string]cty.Value{"A": cty.StringVal("b")}),
		"codes":     cty.ListVal([]cty.Value{cty.NumberIntVal(0), cty.NumberIntVal(-3)}),
		"inners": cty.ListVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{
			"id": cty.StringVal("x"), "big": cty.MustParseNumberVal("18446744073709551615"),
		})}),
		"deep":    cty.NullVal(cty.Object(map[string]cty.Type{"id": cty.String, "big": cty.Number})),
		"enabled": cty.True,
		"ratio":   cty.NumberFloatVal(0.5),
	})
}

func TestDefineSchema(t *testing.T) {
	ty := Define(everySpec())
	if got, want := ty.ArgType(), everyValue().Type(); !got.Equals(want) {
		t.Errorf("argument type: got %#v, want %#v", got, want)
	}
	name := ty.Args[1]
	if !name.Required || !name.NoSecret || name.Kind != UnitName || name.Doc != "The name." {
		t.Errorf("argument name: got %+v", name)
	}
	if got := strings.Join(ty.Args[3].Enum, "|"); got != "started|stopped" {
		t.Errorf("enum: got %q", got)
	}
	if !ty.Results[2].Sensitive || ty.Results[0].Sensitive {
		t.Errorf("sensitive results: got %+v", ty.Results)
	}
}

func TestDefineCalls(t *testing.T) {
	ty, args, ctx := Define(everySpec()), everyValue(), context.Background()
	s, err := ty.Observe(ctx, Look{}, args)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ty.State(raw); err != nil {
		t.Fatal(err)
	}
	got, err := ty.Apply(ctx, Hands{}, args, s)
	if err != nil {
		t.Fatal(err)
	}
	if got.GetAttr("token").IsMarked() != true {
		t.Error("a sensitive result is not marked")
	}
	if !got.GetAttr("members").RawEquals(args.GetAttr("inners")) || got.GetAttr("name").AsString() != "a.service" {
		t.Errorf("results: got %#v", got)
	}
	if !got.GetAttr("maybe").IsNull() {
		t.Errorf("nil pointer: got %#v, want null", got.GetAttr("maybe"))
	}
}

func TestDefineUnknown(t *testing.T) {
	ty := Define(everySpec())
	attrs := everyValue().AsValueMap()
	attrs["name"] = cty.UnknownVal(cty.String)
	planned, results := ty.Plan(Planning{}, cty.ObjectVal(attrs), State{})
	if planned.Summary != "unknown name" {
		t.Errorf("summary: got %q", planned.Summary)
	}
	if v := results.GetAttr("members"); v.IsKnown() || v.Range().CouldBeNull() {
		t.Errorf("unknown list: got %#v, want unknown and not null", v)
	}
	if v := results.GetAttr("maybe"); v.IsKnown() || !v.Range().CouldBeNull() {
		t.Errorf("unknown pointer: got %#v, want unknown that may be null", v)
	}
}

func TestDefineRefuses(t *testing.T) {
	type untagged struct{ X string }
	type meta struct {
		X string `play:"for_each"`
	}
	type status struct {
		X string `play:"status"`
	}
	type odd struct {
		X chan int `play:"x"`
	}
	apply := "no panic"
	try := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: got %s", name, apply)
			}
		}()
		f()
	}
	try("no tag", func() { Define(Spec[untagged, int, struct{}]{Name: "x", Doc: "d", Role: Assert}) })
	try("meta name", func() { Define(Spec[meta, int, struct{}]{Name: "x", Doc: "d", Role: Assert}) })
	try("status", func() { Define(Spec[struct{}, int, status]{Name: "x", Doc: "d", Role: Assert}) })
	try("type", func() { Define(Spec[odd, int, struct{}]{Name: "x", Doc: "d", Role: Assert}) })
	s := everySpec()
	s.Report = func(everyArgs, everyState) everyResults { return everyResults{} }
	try("report on a change", func() { Define(s) })
}
