playbook "replace-member-fra1" {
  language    = 1
  version     = "1.0.0"
  description = "Replace a failed member at fra1: with a change ticket, and the on-call person told."

  extends "../replace-member.hcl" {
    version = "~> 1.0"
  }
}

# Other defaults for this site. The command line still wins.
presets {
  health_timeout = "10m"
}

variable "ticket" {
  type        = string
  description = "The change ticket."

  validation {
    condition     = can(regex("^CHG[0-9]{7}$", var.ticket))
    error_message = "A change ticket looks like CHG0012345."
  }
}

variable "notify" {
  type        = string
  default     = "/usr/bin/logger"
  description = "The program on this machine that is given the notice, as its only argument."
}

# Nobody should first hear of it from an alert.
task "exec" "announce" {
  before = task.stop
  on     = localhost
  argv = [var.notify, chomp(templatefile("templates/notice.tmpl", {
    cluster = cluster.name
    host    = var.failed.name
    ticket  = var.ticket
    id      = local.old.id
  }))]
}

override "start" {
  timeout = "15m" # spinning disks
}

override "old" {
  precondition {
    condition     = length(local.others) >= 2
    error_message = "At fra1 a member is replaced in clusters of three or more only."
  }
}

drop "why" {
  reason = "The journals of all hosts are in the log store, where more people can read them."
}

output "ticket" {
  value       = var.ticket
  description = "Of which change this run was part."
}
