playbook {
  language    = 1
  experiments = ["x"]
  licence     = "MIT"

  author {
  }
}

task "etcd_members" "m" {}
