playbook "x" {
  language = 1
}

task "systemd_unit" "stop" {
  on_each = cluster.members
  unit    = cluster.unit
  state   = "stopped"
}

task "etcd_members" "m" {}

output "a" {
  value = task.stop[*].changed
}

output "b" {
  value = task.stop["demo-etcd-1"].chnaged
}

output "c" {
  value = task.m["demo-etcd-1"].count
}

output "d" {
  value = [for k, r in task.stop : r.chnaged]
}
