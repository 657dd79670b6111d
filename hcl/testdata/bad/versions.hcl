playbook "x" {
  language         = 1
  required_version = "newest"
  version          = "one"
  description      = 1
}

task "etcd_members" "m" {}
