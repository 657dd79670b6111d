playbook "x" {
  language = 1
}

task "etcd_members" "m" {
  timeout = "30s"
  timeout = "40s"
}
