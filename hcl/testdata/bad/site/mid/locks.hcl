playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

task "assert" "ours" {
  before        = task.is_member
  locked        = true
  condition     = true
  error_message = "No."
}

override "is_member" {
  locked = true
}

drop "why" {
  reason = "Not here."
}
