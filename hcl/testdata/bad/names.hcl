playbook "x" {
  language = 1
}

variable "Failed" {
  type = string
}

locals {
  a-b = 1
}

phase "1st" {
  task "etcd_members" "my.members" {}
}

output "_x" {
  value = 1
}
