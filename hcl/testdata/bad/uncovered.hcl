playbook "x" {
  language = 1
}

variable "token" {
  type      = string
  sensitive = true
}

output "size" {
  value = length(nonsensitive(var.token))
}

task "etcd_members" "m" {}
