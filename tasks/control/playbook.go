package control

import (
	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/engine"
)

// Playbook runs another playbook as one task of this one.
func Playbook() *engine.Type {
	return engine.Define(engine.Spec[playbookArgs, struct{}, struct{}]{
		Name: "playbook", Role: engine.Calls,
		Doc: "Runs another playbook as one task of this one, with the same cluster and inventory. Its results are " +
			"the outputs of that playbook.",
		Effect: engine.Change, Where: engine.Controller,
	})
}

type playbookArgs struct {
	Source string    `play:"source,required,nosecret" doc:"The playbook's file, relative to the file this is written in. It has to be written out, since it is read before anything runs."`
	With   cty.Value `play:"with" doc:"Values of its variables." default:"their defaults"`
}
