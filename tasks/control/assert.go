package control

import "github.com/etcdplay/etcdplay/engine"

// Assert is a condition with a place of its own in the order.
func Assert() *engine.Type {
	return engine.Define(engine.Spec[assertArgs, struct{}, struct{}]{
		Name: "assert", Role: engine.Assert,
		Doc: "Stops the run with a message unless a condition holds. With locked = true a site playbook cannot change it. " +
			"A condition over what only the run can tell is checked during the run.",
		Effect: engine.Control, Where: engine.Controller,
	})
}

type assertArgs struct {
	Condition    bool   `play:"condition,required" doc:"What has to hold."`
	ErrorMessage string `play:"error_message,required,nosecret" doc:"What to say if it does not: what is wrong, and what to do."`
}
