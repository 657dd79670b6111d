playbook "x" {
  language = 1
}

phase "p" {
  task "etcd_members" "m" {}

  rescue {
    task "etcd_members" "r" {}
  }
}

task "assert" "a" {
  condition     = task.r.count == 3
  error_message = "x"
}

output "o" {
  value = task.r.count
}
