playbook "x" {
  language = 1
}

variable "token" {
  type = string
}

locals {
  x = 1
}

task "etcd_members" "m" {}
