playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "mid/locks.hcl" {
    version = "~> 1.0"
  }
}

override "ours" {
  when = false
}

override "is_member" {
  when = false
}

drop "quorum_without_it" {
  reason = "It is in the way."
}

drop "why" {
  reason = "Twice."
}

task "exec" "beside" {
  after = task.why
  on    = localhost
  argv  = ["true"]
}
