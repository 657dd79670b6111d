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

task "exec" "again" {
  on   = localhost
  argv = ["true"]

  retry {
    attempts = 3
    interval = "1s"
  }
}
