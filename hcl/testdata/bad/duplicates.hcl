playbook "x" {
  language = 1
}

variable "a" {
  type = string
}

variable "a" {
  type = string
}

locals {
  l = var.a
}

locals {
  l = var.a
}

phase "p" {
  task "etcd_members" "m" {}
}

phase "p" {
  task "etcd_members" "n" {}
}

output "o" {
  value = local.l
}

output "o" {
  value = local.l
}
