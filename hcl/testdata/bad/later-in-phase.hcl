playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

phase "p" {
  when = task.m.count > 1

  task "etcd_members" "m" {}
}
