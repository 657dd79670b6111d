playbook "x" {
  language = 1
}

task "etcd_members" "a" {
  timeout = "5"
}

task "etcd_members" "b" {
  timeout = "5 minutes"
}

task "etcd_members" "c" {
  timeout = "-1s"
}

task "etcd_members" "d" {
  timeout = "9999h"
}

task "etcd_members" "e" {
  timeout = 30
}

task "etcd_members" "f" {
  retry {
    attempts     = 0
    interval     = "0s"
    backoff      = 0.5
    max_interval = null
  }
}

task "etcd_members" "g" {
  retry {
    attempts = 1.5
    interval = "1s"
    backoff  = "2"
  }
}

task "etcd_members" "h" {
  retry {
    attempts = 1e999
    interval = "1s"
  }
}
