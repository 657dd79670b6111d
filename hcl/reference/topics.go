// Package reference is what the language has to offer, in words and as data:
// task types, blocks, names and functions. It is generated from the registry of
// types, the inventory's own tables and the list of functions; it knows nothing
// of a particular playbook.
package reference

import (
	"strconv"

	"github.com/etcdplay/etcdplay/engine"
	"github.com/etcdplay/etcdplay/hcl/eval"
	"github.com/etcdplay/etcdplay/hcl/inventory"
)

// Block is one kind of block of a playbook or an inventory.
type Block struct {
	Name      string     `json:"name"` // as it is written, with its labels
	In        string     `json:"in"`   // the kind of file: "playbook" or "inventory"
	Doc       string     `json:"doc"`
	Arguments []Argument `json:"arguments,omitempty"`
	Blocks    []string   `json:"blocks,omitempty"` // that may stand in it
	Example   string     `json:"example,omitempty"`
}

// Argument is one argument of a block or of a task type.
type Argument struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"` // as a playbook would write it
	Required   bool     `json:"required,omitempty"`
	Kind       string   `json:"kind,omitempty"`
	Enum       []string `json:"enum,omitempty"`
	Default    string   `json:"default,omitempty"`
	NoSecret   bool     `json:"no_secret,omitempty"`
	Deprecated string   `json:"deprecated,omitempty"`
	Doc        string   `json:"doc"`
}

// Name is something an expression can refer to.
type Name struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Doc  string `json:"doc"`
}

// TaskArguments are the arguments that every task takes, whatever its type.
func TaskArguments() []Argument {
	return []Argument{
		{Name: "description", Type: "string", Doc: "What the task is for; literal text."},
		{Name: "on", Type: "host", Doc: "The host that the task runs on."},
		{Name: "on_each", Type: "list(host)", Doc: "The hosts it runs on, one round each, in this order. Its results are a map by the host's name."},
		{Name: "parallel", Type: "number", Default: "1", Doc: "With on_each, how many hosts may be worked on at a time. After a failure no further host is begun."},
		{Name: "become", Type: "bool", Default: "as the connection says", Doc: "Whether the task runs as root."},
		{Name: "for_each", Type: "list(string), list(object) or map", Doc: "One round for each element, in order: of strings, of objects with a name, or of a map. Its results are a map by that key."},
		{Name: "when", Type: "bool", Default: "true", Doc: "Whether the task runs. The results of a skipped task are null."},
		{Name: "timeout", Type: "string", Kind: string(engine.Duration), Default: "that of the type", Doc: "How long the task may take, its retries included."},
		{Name: "locked", Type: "bool", Default: "false", Doc: "Whether a site playbook may neither change nor drop the task; literal."},
		{Name: "before", Type: "task", Doc: "In a site playbook: the task of the base that this one comes before."},
		{Name: "after", Type: "task", Doc: "In a site playbook: the task of the base that this one comes after."},
	}
}

// Blocks lists all blocks, those of a playbook first.
func Blocks() []Block {
	list := append(playbookBlocks(), siteBlocks()...)
	for i := range list {
		list[i].In = "playbook"
	}
	return append(list, inventoryBlocks()...)
}

func playbookBlocks() []Block {
	text := func(name, doc string) Argument { return Argument{Name: name, Type: "string", Doc: doc} }
	return []Block{
		{Name: `playbook "NAME"`, Doc: "Tells that a file is a playbook, and in which edition of the language. Everything in it is literal.", Arguments: []Argument{
			{Name: "language", Type: "number", Required: true, Doc: "The edition of the language: 1."},
			text("required_version", "Which versions of etcdplay may run it."),
			text("version", "The version of the playbook itself."),
			text("description", "What it is for."),
		}, Blocks: []string{"extends"}, Example: "playbook \"scale\" {\n  language = 1\n  version  = \"1.0.0\"\n}"},
		{Name: `variable "NAME"`, Doc: "A value that is given from outside, by --var, a file of values, ETCDPLAY_VAR_NAME, or the with of a calling task.", Arguments: []Argument{
			{Name: "type", Type: "TYPE", Required: true, Doc: "string, number, bool, host, list(...), set(...), map(...), tuple([...]) or object({ ... })."},
			{Name: "default", Type: "of the type", Doc: "Its value if none is given; without one, a value is required."},
			text("description", "What it is for."),
			{Name: "sensitive", Type: "bool", Default: "false", Doc: "Whether the value is never shown or stored."},
			{Name: "nullable", Type: "bool", Default: "false", Doc: "Whether the value may be null."},
			text("deprecated", "What to use instead."),
		}, Blocks: []string{"validation"}, Example: "variable \"failed\" {\n  type        = host\n  description = \"The host whose member failed.\"\n}"},
		{Name: "validation", Doc: "In a variable block: what has to hold of its value, before anything is done.", Arguments: conditionArguments(), Example: "validation {\n  condition     = length(var.ticket) > 0\n  error_message = \"A change needs a ticket.\"\n}"},
		{Name: "locals", Doc: "Values with names, used as local.NAME. They may use results of tasks that stand before their user.", Example: "locals {\n  endpoints = cluster.endpoints\n}"},
		{Name: `phase "NAME"`, Doc: "A named group of tasks: a heading in the plan, the scope of rescue and always, and the grain of resume.", Arguments: []Argument{
			text("description", "What it is for."),
			{Name: "when", Type: "bool", Default: "true", Doc: "Whether the phase runs; without it, rescue and always do not run either."},
		}, Blocks: []string{"task", "rescue", "always"}, Example: "phase \"join\" {\n  task \"etcd_members\" \"before\" {}\n}"},
		{Name: "rescue", Doc: "In a phase: tasks that run in order when one of the phase has failed. The run stays failed and ends after them.", Blocks: []string{"task"}},
		{Name: "always", Doc: "In a phase: tasks that run at its end, whether it failed or not.", Blocks: []string{"task"}},
		{
			Name: `task "TYPE" "NAME"`, Doc: "One task. Its results are task.NAME.RESULT for the tasks after it. Besides these arguments it takes those of its type.",
			Arguments: TaskArguments(), Blocks: []string{"precondition", "postcondition", "retry"}, Example: "task \"systemd_unit\" \"stop\" {\n  on    = var.failed\n  unit  = cluster.unit\n  state = \"stopped\"\n}",
		},
		{Name: "precondition", Doc: "In a task: what has to hold before it.", Arguments: conditionArguments()},
		{Name: "postcondition", Doc: "In a task: what has to hold after it; self is its results. If it does not, the task has failed, though its effect stays.", Arguments: conditionArguments()},
		{Name: "retry", Doc: "In a task whose type may be retried: attempts after an error, or until a condition holds.", Arguments: []Argument{
			{Name: "attempts", Type: "number", Required: true, Doc: "How many attempts there are at most."},
			{Name: "interval", Type: "string", Required: true, Kind: string(engine.Duration), Doc: "How long to wait between two."},
			{Name: "backoff", Type: "number", Default: "1", Doc: "By what the wait is multiplied each time."},
			{Name: "max_interval", Type: "string", Kind: string(engine.Duration), Default: "no bound", Doc: "The longest wait."},
			{Name: "until", Type: "bool", Default: "true", Doc: "What has to hold of self; until then it is tried again."},
		}, Example: "retry {\n  attempts = 30\n  interval = \"5s\"\n  until    = self.ok\n}"},
		{Name: `output "NAME"`, Doc: "A value that is shown at the end, and is a result of the task that calls the playbook.", Arguments: []Argument{
			{Name: "value", Type: "any value", Required: true, Doc: "The value."},
			text("description", "What it is."),
			{Name: "sensitive", Type: "bool", Default: "false", Doc: "Whether the value may be sensitive; it is then not shown."},
		}, Example: "output \"member_id\" {\n  value = task.add.id\n}"},
	}
}

// siteBlocks are those that only a site playbook has.
func siteBlocks() []Block {
	return []Block{
		{Name: `extends "PLAYBOOK"`, Doc: "In a playbook block: makes the file a site playbook, which says only in what it deviates from another, its base. PLAYBOOK is the path of the base, relative to the file, or the name of a playbook that comes with etcdplay. The base may be a site playbook itself.", Arguments: []Argument{
			{Name: "version", Type: "string", Required: true, Doc: "Which versions of the base the site playbook was written for; literal."},
		}, Example: "extends \"replace-member\" {\n  version = \"~> 1.0\"\n}"},
		{Name: "presets", Doc: "In a site playbook: other defaults for variables of the base, by their names. A file of values, the environment and --var still win.", Example: "presets {\n  health_timeout = \"10m\"\n}"},
		{Name: `override "TASK"`, Doc: "In a site playbook: replaces arguments of a task of the base, each as a whole, and a retry block as a whole; conditions are added to those there are. The type and the place of the task stay. A locked task cannot be overridden.", Blocks: []string{"precondition", "postcondition", "retry"}, Example: "override \"start\" {\n  timeout = \"15m\"\n}"},
		{Name: `drop "TASK"`, Doc: "In a site playbook: takes a task of the base out, if nothing uses its results. A locked task cannot be dropped.", Arguments: []Argument{
			{Name: "reason", Type: "string", Required: true, Doc: "Why the site does without it; literal. It is shown in the plan and kept in the journal."},
		}, Example: "drop \"why\" {\n  reason = \"The journals are in the log store.\"\n}"},
	}
}

func conditionArguments() []Argument {
	return []Argument{
		{Name: "condition", Type: "bool", Required: true, Doc: "What has to hold."},
		{Name: "error_message", Type: "string", Required: true, Doc: "What is said if it does not; it may not be sensitive."},
	}
}

func inventoryBlocks() []Block {
	var out []Block
	for _, b := range inventory.Blocks() {
		block := Block{Name: b.Name, In: "inventory", Doc: b.Doc, Blocks: b.Blocks}
		for _, a := range b.Arguments {
			block.Arguments = append(block.Arguments, Argument{
				Name: a.Name, Type: eval.TypeText(a.Type), Required: a.Required, Kind: string(a.Kind), Enum: a.Enum, Default: a.Default, Doc: a.Doc,
			})
		}
		out = append(out, block)
	}
	return out
}

// Names lists what an expression of a playbook can refer to.
func Names() []Name {
	return []Name{
		{"var.NAME", "of its block", "A variable."},
		{"local.NAME", "any", "A local; it is evaluated where it is used."},
		{"host.NAME", "host", "A host of the inventory; host[\"NAME\"] where the name has dots."},
		{"group.NAME", "list(host)", "The hosts of a group, in their written order."},
		{"cluster", eval.TypeText(eval.ClusterType), "The cluster that the run works on."},
		{"localhost", "host", "The machine that runs etcdplay."},
		{"task.NAME", "object of the type's results and status", "The results of a task that stands before; of a looping task, a map of them by key. status is \"ok\", \"skipped\" or \"failed\"."},
		{"each.key, each.value", "string, any", "The round of a task with for_each."},
		{"target", "host", "The host being worked on, in a task with on or on_each."},
		{"self", "object of the type's results", "The results of the task itself, in postcondition and in retry's until."},
		{"error.task, error.message", "string", "What failed, in rescue."},
		{"run", eval.TypeText(eval.RunType), "The run: its ID, when it began, who began it; the same again when it is resumed."},
		{"path.playbook", "string", "The directory of the file that it is written in: of a site playbook, or of its base."},
	}
}

// arguments are those of a task type.
func arguments(t *engine.Type) []Argument {
	var out []Argument
	for _, a := range t.Args {
		out = append(out, Argument{
			Name: a.Name, Type: eval.TypeText(a.Type), Required: a.Required, Kind: string(a.Kind), Enum: a.Enum,
			Default: a.Default, NoSecret: a.NoSecret, Deprecated: a.Deprecated, Doc: a.Doc,
		})
	}
	return out
}

// example is a task of the type with its required arguments, each with a value
// that its place accepts.
func example(t *engine.Type) string {
	type line struct{ name, value string }
	var lines []line
	if t.Where == engine.OnHost {
		lines = append(lines, line{"on", `host["demo-etcd-1"]`})
	}
	width := 0
	for _, a := range t.Args {
		if a.Required {
			lines = append(lines, line{a.Name, sample(a)})
		}
	}
	for _, l := range lines {
		width = max(width, len(l.name))
	}
	text := "task " + strconv.Quote(t.Name) + " \"example\" {"
	if len(lines) == 0 {
		return text + "}"
	}
	for _, l := range lines {
		text += "\n  " + pad(l.name, width) + " = " + l.value
	}
	return text + "\n}"
}

func sample(a engine.Arg) string {
	one := sampleString(a)
	switch eval.TypeText(a.Type) {
	case "number":
		return "1"
	case "bool":
		return "true"
	case "host":
		return `host["demo-etcd-1"]`
	case "list(string)", "set(string)":
		return "[" + one + "]"
	case "list(number)":
		return "[0]"
	case "map(string)":
		return "{ NAME = " + one + " }"
	case "list(host)":
		return "cluster.members"
	case "string":
		return one
	}
	if a.Type.Equals(eval.HostMemberType) {
		return `host["demo-etcd-1"].member`
	}
	if a.Type.IsListType() {
		return "[]"
	}
	return "{}"
}

func sampleString(a engine.Arg) string {
	if len(a.Enum) > 0 {
		return strconv.Quote(a.Enum[0])
	}
	switch a.Kind {
	case engine.Duration:
		return `"30s"`
	case engine.Mode:
		return `"0644"`
	case engine.AbsPath:
		return `"/var/lib/etcd"`
	case engine.URL:
		return `"https://10.240.0.1:2379"`
	case engine.SHA256:
		return `"c38cbd92fce41312f3fbdce60510013b7f0d4004a03b45c8e762f98f1ed4006c"`
	case engine.UnitName:
		return `"etcd-member.service"`
	case engine.FileName:
		return `"20-clct-etcd-member.conf"`
	case engine.MemberID:
		return `"1609b5a3a078c227"`
	}
	if a.Name == "peer_urls" {
		return `"http://10.240.0.1:2380"`
	}
	return `"..."`
}
