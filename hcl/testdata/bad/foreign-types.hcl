playbook "x" {
  language = 1
}

task "etcd_membres" "a" {
  endpoints = cluster.endpoints
}

task "shell" "c" {}

task "service" "d" {}

output "o" {
  value = task.a.anything
}
