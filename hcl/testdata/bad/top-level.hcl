playbook "x" {
  language = 1
}

timeout = "5m"

task "etcd_members" "m" {}
