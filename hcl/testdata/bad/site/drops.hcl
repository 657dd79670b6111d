playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

drop "before" {
  reason = "Nobody needs it."
}

drop "stop_new" {
  reason = ""
}

drop "why" {
  reason = "Read ${var.failed.name} elsewhere."
}

drop "data_dir" {
  reason = "It is there."
}

drop "data_dir" {
  reason = "It is there."
}

override "start" {
  timeout = "5m"
}

drop "start" {
  reason = "We start by hand."
}

task "exec" "ours" {
  after = task.data_dir
  on    = localhost
  argv  = ["true", task.data_dir.path]
}

drop "ours" {
  reason = "Not needed."
}

drop "strat" {
  reason = "Not needed."
}

drop "survey" {
  reason = "This is a phase."
}
