playbook "x" {
  language = 1

  extends "../base.hcl" {
    version = "~> 1.0"
  }
}

task "etcd_members" "m" {}
