# What is above the header stays.
# Resolved from s 1.0.0 (site/s.hcl), which extends b 1.2.0 (b.hcl).
# Keep it in the folder ".", to which its paths are relative.
playbook "s" {
  language         = 1
  required_version = ">= 0.1.0"
  version          = "1.0.0"
}

variable "limit" {
  type = number
  # preset at site/s.hcl line 11; was 1
  default = 2
}

variable "bare" {
  type = string
  # preset at site/s.hcl line 12
  default = "mid"
}

variable "line" { type = string }

task "etcd_members" "loose" {}

task "etcd_members" "tight" { timeout = "5m" }

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
  }

  task "stat" "two" {
    on   = localhost
    path = templatefile("t/base.tmpl", { n = task.loose.count })
  }

  task "exec" "text" {
    on    = localhost
    shell = <<-EOT
      echo old
    EOT
    env   = { A = "b" }
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
  type    = number
  default = 3
}

# added at site/s.hcl line 20
locals {
  folder = trimprefix("${path.playbook}/site", "./") # of this file
}

# added at site/s.hcl line 42
output "depth" {
  value = "${var.depth}${trimprefix("${path.playbook}/site", "./")}"
}
