playbook "My Playbook" {
  language = 1
}

task "etcd_members" "m" {}
