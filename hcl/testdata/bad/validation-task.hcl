playbook "x" {
  language = 1
}

variable "n" {
  type = number

  validation {
    condition     = local.c > var.n
    error_message = "${task.m.count}"
  }
}

locals {
  c = task.m.count
}

task "etcd_members" "m" {}
