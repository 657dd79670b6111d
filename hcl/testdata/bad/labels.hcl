playbook "x" {
  language = 1
}

variable {
  type = string
}

task "etcd_members" {
}

phase {
  task "etcd_members" "m" {}
}

output "a" "b" {
  value = 1
}

locals "x" {
  y = 1
}
