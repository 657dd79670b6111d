playbook "x" {
  language = 1
}

task "systemd_unit" "stop" {
  on_each = group.spars
  unit    = cluster.unit
  state   = "stopped"
}

task "stat" "s" {
  on   = host["demo-etcd-9"]
  path = "/x"
}
# bind:
