playbook "x" {
  language = 1
}

presets {
  a = 1
}

override "m" {
  timeout = "5m"
}

drop "m" {
  reason = "x"
}

task "etcd_members" "m" {
  before = task.n
}
