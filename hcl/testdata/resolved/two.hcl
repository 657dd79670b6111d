# What is above the header stays.
# Resolved from s 1.0.0 (top/s.hcl), which extends s 1.0.0 (site/s.hcl), which extends b 1.2.0 (b.hcl).
# Keep it in the folder ".", to which its paths are relative.
playbook "s" {
  language         = 1
  required_version = ">= 0.1.0"
  version          = "1.0.0"
}

variable "limit" {
  type = number
  # preset at top/s.hcl line 13; was 1
  default = 5
}

variable "bare" {
  type = string
  # preset at site/s.hcl line 12
  default = "mid"
}

variable "line" {
  type = string
  # preset at top/s.hcl line 11
  default = "3"
}

task "etcd_members" "loose" {

  # overridden at top/s.hcl line 26
  description = "Now it says so."

  # overridden at top/s.hcl line 28
  retry {
    attempts = 3
    interval = "1s"
  }

  # added at top/s.hcl line 33
  precondition {
    condition     = var.limit > 0
    error_message = "No."
  }
}

task "etcd_members" "tight" {
  # overridden at top/s.hcl line 17; was "5m"
  timeout = "6m"

  # added at top/s.hcl line 19
  postcondition {
    condition     = self.count > 0
    error_message = "None at ${trimprefix("${path.playbook}/top", "./")}."
  }
}

# About the phase.
phase "p" {
  description = "A phase."

  # About one.
  task "exec" "one" {
    on = localhost
    # overridden at site/s.hcl line 39; was ["echo", path.playbook, var.bare, var.line]
    argv = ["true", trimprefix("${path.playbook}/site", "./")]
    # overridden at site/s.hcl line 38
    locked = true
  }

  # About ours.
  # added at site/s.hcl line 25
  task "stat" "ours" {
    on   = localhost
    path = templatefile("site/t/site.tmpl", { x = local.folder })
    # overridden at top/s.hcl line 49
    description = "Changed above."
  }

  task "stat" "two" {
    on   = localhost
    path = templatefile("t/base.tmpl", { n = task.loose.count })
  }

  task "exec" "text" {
    on = localhost
    # overridden at top/s.hcl line 40
    shell = <<-EOT
    echo new
      deep
  EOT
    # overridden at top/s.hcl line 44; was { A = "b" }
    env = null
    # overridden at top/s.hcl line 45
    when = true
  }

  rescue {
    task "etcd_members" "saved" {}
  }

  always {
    # The last one.
    task "etcd_members" "last" {} # really
  }
}

phase "q" {
  # added at site/s.hcl line 31
  task "playbook" "called" {
    # overridden at top/s.hcl line 53; was "../call.hcl"
    source = "call.hcl"
    with   = { v = trimprefix("${path.playbook}/site", "./") }
  }

  task "etcd_members" "only" {}
}

output "n" {
  value = task.two.exists ? var.limit : task.tight.count
}

# added at site/s.hcl line 15
variable "depth" {
  type = number
  # preset at top/s.hcl line 12; was 3
  default = 4
}

# added at site/s.hcl line 20
locals {
  folder = trimprefix("${path.playbook}/site", "./") # of this file
}

# added at site/s.hcl line 42
output "depth" {
  value = "${var.depth}${trimprefix("${path.playbook}/site", "./")}"
}
