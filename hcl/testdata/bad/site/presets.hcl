playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

presets {
  health_timeout  = 3
  even_if_healthy = cluster.name == "x"
  failed          = null
  ours            = "x"
}

presets {
  health_timeout = "3m"
}

presets "x" {
}

variable "ours" {
  type = string
}

variable "failed" {
  type = host
}

locals {
  old = var.ours
}

output "old_data" {
  value = local.old
}
