playbook "replace-member-fra1" {
  language = 1
  version  = "1.0.0"

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

variable "pager_token" {
  type      = string
  sensitive = true
}

task "exec" "silence" {
  before = task.old
  on     = localhost
  argv   = ["/usr/local/bin/silence", "--cluster", cluster.name, "--host", var.failed.name, "--for", "1h", "--why", var.ticket]
  env    = { PAGER_TOKEN = var.pager_token }
}

task "exec" "firewall" {
  after     = task.start
  on        = var.failed
  argv      = ["/usr/sbin/nft", "list", "chain", "inet", "filter", "etcd"]
  read_only = true

  postcondition {
    condition     = alltrue([for h in local.others : can(regex(h.address, self.stdout))])
    error_message = "The firewall of ${var.failed.name} does not name all members."
  }
}

override "start" {
  timeout = "5m" # spinning disks
}

override "old" {
  precondition {
    condition     = length(local.others) >= 2
    error_message = "At fra1 a member is replaced in clusters of three or more only."
  }
}

output "ticket" {
  value = var.ticket
}
