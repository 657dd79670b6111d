package control

import "github.com/etcdplay/etcdplay/engine"

// Confirm asks the operator.
func Confirm() *engine.Type {
	return engine.Define(engine.Spec[confirmArgs, struct{}, confirmResults]{
		Name: "confirm", Role: engine.Confirm,
		Doc: "Asks the operator whether to go on, and stops the run unless the answer is yes. " +
			"With typed, the answer has to be that text: --yes does not give it, --confirm=TEXT does.",
		Effect: engine.Control, Where: engine.Controller,
	})
}

type confirmArgs struct {
	Message string  `play:"message,required,nosecret" doc:"The question, with what is at stake."`
	Typed   *string `play:"typed,nosecret" doc:"What has to be typed, exactly, for what nobody should agree to by habit." default:"yes, which --yes gives as well"`
}

type confirmResults struct {
	AnsweredBy string `play:"answered_by" doc:"Who answered."`
}
