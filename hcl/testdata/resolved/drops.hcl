# What is above the header stays.
# Resolved from s 1.0.0 (s.hcl), which extends b 1.2.0 (b.hcl).
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

task "etcd_members" "loose" {}

task "etcd_members" "tight" { timeout = "5m" }

# About the phase.
phase "p" {
  description = "A phase."

  # About one.
  # dropped at s.hcl line 10: exec "one": Of no use.

  # added at s.hcl line 26
  task "etcd_members" "a" {
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

  # added at s.hcl line 34
  task "etcd_members" "c" {
  }

  rescue {
    # dropped at s.hcl line 14: etcd_members "saved": Not here.
  }

  always {
    # The last one.
    # dropped at s.hcl line 18: etcd_members "last": Neither. # really

    # added at s.hcl line 30
    task "etcd_members" "b" {
    }
  }
}

# dropped at s.hcl line 22: etcd_members "only": The whole phase.

output "n" {
  value = task.two.exists ? var.limit : task.tight.count
}
