playbook "x" {
  language = 1
}

task "etcd_members" "m" {
  when = task.m.count == 3
}
