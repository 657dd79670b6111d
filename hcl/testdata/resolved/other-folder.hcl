# What is above the header stays.
# Resolved from s 1.0.0 (site/s.hcl), which extends b 1.2.0 (b.hcl).
# Keep it in the folder ".", to which its paths are relative.
playbook "s" {
  language         = 1
  required_version = ">= 0.1.0"
  version          = "1.0.0"
}

variable "limit" {
  type    = number
  default = 1
}

variable "bare" {
  type = string
}

variable "line" { type = string }

# added at site/s.hcl line 10
task "etcd_members" "a" {
}

task "etcd_members" "loose" {}

task "etcd_members" "tight" { timeout = "5m" }

# About the phase.
phase "p" {
  description = "A phase."

  # About one.
  task "exec" "one" {
    on   = localhost
    argv = ["echo", path.playbook, var.bare, var.line] # which is old
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
  task "etcd_members" "only" {}
}

output "n" {
  value = task.two.exists ? var.limit : task.tight.count
}
