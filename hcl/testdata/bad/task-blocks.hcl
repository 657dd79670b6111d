playbook "x" {
  language = 1
}

task "etcd_members" "m" {
  rescue {
  }

  env {
    A = "b"
  }

  lifecycle {
  }

  precondition {
    condition = true
  }

  retry {
    attempts = 1
  }

  retry {
    attempts = 1
    interval = "1s"
    every    = "1s"
  }
}
