playbook "x" {
  language = 1
}

tsak "etcd_members" "m" {}
