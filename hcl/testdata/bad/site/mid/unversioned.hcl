playbook "u" {
  language = 1
}

task "etcd_members" "m" {}
