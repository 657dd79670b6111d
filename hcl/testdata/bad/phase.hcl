playbook "x" {
  language = 1
}

phase "p" {
}

phase "q" {
  rescue {
    task "etcd_members" "a" {}
  }

  task "etcd_members" "b" {}

  rescue {
    task "etcd_members" "c" {}
  }

  always {
    x = 1
  }

  phase "r" {
  }
}
