package syntax

import (
	"fmt"
	"strings"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Foreign is the advice for a word of another tool, "" if it is none.
func Foreign(word string) string {
	switch word {
	case "cmd", "command", "args":
		return "There is no " + word + ". Write argv = [\"PROGRAM\", \"ARGUMENT\"], or shell = \"...\"."
	case "register":
		return "There is no register: every task's results are at hand as task.<name>.<output>."
	case "depends_on", "needs", "requires":
		return "There is no " + word + ": tasks run in the order in which they are written."
	case "count":
		return "There is no count. For one round per value write for_each = [...], for one per host on_each = [...]; to leave a task out write when = false."
	case "notify", "listen", "handlers", "handler":
		return "There is no " + word + ": a restart is a task of its own, and systemd_dropin reloads the daemon by itself."
	case "tags":
		return "There are no tags: a playbook runs as a whole. A task that is not always wanted has when = var.<name>."
	case "delegate_to", "local_action", "run_once":
		return "There is no " + word + ": on tells where a task runs, and on = localhost is the machine that runs etcdplay."
	case "hosts", "host", "on_hosts":
		return "There is no " + word + ": write on for one host, or on_each for several."
	case "ignore_errors", "continue_on_error", "allow_failure", "ignore_failure":
		return "There is no " + word + ": a failed task ends the run, after the rescue and always tasks of its phase."
	case "failed_when":
		return "There is no failed_when. Write a postcondition block, or success_codes for exec."
	case "changed_when":
		return "There is no changed_when. For a command that changes nothing write read_only = true."
	case "until", "retries", "delay":
		return "Write a retry block: retry { attempts = 30  interval = \"5s\"  until = self.ok }."
	case "dynamic":
		return "There are no dynamic blocks: for_each repeats a whole task."
	case "loop", "with_items", "items", "foreach":
		return "There is no " + word + ". Write for_each = [...], and each.value for the value of the round."
	case "if", "only_if", "condition_when":
		return "There is no " + word + ". Write when = <condition>."
	case "sudo", "become_user", "become_method":
		return "There is no " + word + ". Write become = true or false; how it is done stands in the inventory."
	case "provisioner", "resource", "module", "data", "terraform", "provider":
		return "There is no " + word + " block. What is done is written as task \"TYPE\" \"NAME\" { … }."
	case "import", "include", "import_playbook", "include_tasks":
		return "There is no " + word + ": call another playbook with task \"playbook\" \"NAME\" { source = \"FILE.hcl\" }."
	case "local":
		return "The block is called locals."
	case "var", "variables", "vars":
		return "Each variable is a block of its own: variable \"NAME\" { type = string }."
	case "step", "action", "play":
		return "It is called task: task \"TYPE\" \"NAME\" { … }."
	case "stage", "group_tasks", "block":
		return "It is called phase: phase \"NAME\" { … }."
	}
	return ""
}

// unsupported is the detail of a finding about an argument or a block that
// does not belong into an outer one.
func unsupported(outer, what, name string, allowed []string) string {
	for _, advice := range []string{elsewhere(outer, what, name), Foreign(name)} {
		if advice != "" {
			return advice
		}
	}
	if name == "task" && (outer == "rescue" || outer == "always" || outer == "phase") {
		return "Write task \"TYPE\" \"NAME\" { … }."
	}
	if name == "phase" {
		return "A phase does not lie in another block. Write it behind this one, or call a playbook with task \"playbook\" \"NAME\" { source = \"FILE.hcl\" }."
	}
	if len(allowed) == 0 {
		return fmt.Sprintf("%s takes no %ss, so there is no %q.", outer, what, name)
	}
	meant := diag.DidYouMean(name, allowed)
	if what == "block" && meant == "" {
		meant = fmt.Sprintf(" Its blocks are %s.", strings.Join(allowed, ", "))
		if len(allowed) == 1 {
			meant = fmt.Sprintf(" Its only block is %s.", allowed[0])
		}
	}
	return fmt.Sprintf("%s has no %s %q.%s", outer, what, name, meant)
}

// elsewhere is the advice for a word of this language that stands in the wrong
// place, "" if it is none.
func elsewhere(outer, what, name string) string {
	switch {
	case what == "block" && (name == "rescue" || name == "always"):
		return name + " stands in a phase, behind its tasks."
	case what == "block" && outer != "A task" && (name == "precondition" || name == "postcondition" || name == "retry"):
		return name + " stands in a task."
	case what == "block" && name == "validation":
		return "validation stands in a variable block. Before a task precondition says what has to hold."
	case what == "block" && outer == "A playbook" && (name == "host" || name == "group" || name == "cluster" || name == "connection"):
		return name + " stands in an inventory, which is a file of its own."
	case outer == "playbook" && name == "extends":
		return "extends is a block: extends \"BASE.hcl\" { version = \"~> 1.0\" }."
	case outer == "variable" && (name == "required" || name == "optional"):
		return "There is no " + name + ": a variable with a default may be left out, and any other has to be given."
	case outer == "phase" && contains(taskMeta(), name):
		return name + " stands in each task; a phase has a description and a when."
	}
	return ""
}

// taskMeta is what every task may say, and a phase may not.
func taskMeta() []string {
	return []string{"on", "on_each", "parallel", "become", "for_each", "timeout", "locked", "before", "after"}
}
