playbook "b" {
  language = 1
  version  = "1.0.0"
}

task "etcd_members" "m" {
  timeot = "5m"
}

task "etcd_members" "n" {
  endpoints = task.m.membres
}
