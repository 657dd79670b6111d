playbook "x" {
  language = 1
}

task "etcd_members" "m" {
  when = null

  precondition {
    condition     = 1
    error_message = 2
  }

  postcondition {
    condition     = self.count
    error_message = null
  }
}

task "assert" "a" {
  condition     = "true"
  error_message = ["x"]
}

phase "p" {
  when = "yes"

  task "etcd_members" "n" {}
}
