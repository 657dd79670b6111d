playbook "x" {
  language = 1
}

task "etcd_snapshot_save" "a" {
  on       = localhost
  endpoint = cluster.endpoints[0]
  path     = "/x"
}

task "etcd2_backup" "b" {}

task "shell" "c" {}

task "service" "d" {}

output "o" {
  value = task.a.anything
}
