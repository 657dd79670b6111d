playbook "x" {
  language         = 1
  required_version = ">= 2.0"
}

task "etcd_members" "m" {}
