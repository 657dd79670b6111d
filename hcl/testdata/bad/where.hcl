playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

task "stat" "a" {
  path     = "/a"
  parallel = 2
}

task "etcd_members" "b" {
  on = var.failed
}

task "assert" "c" {
  on_each       = [var.failed]
  condition     = true
  error_message = "x"
}

task "stat" "d" {
  on      = var.failed
  on_each = [var.failed]
  path    = "/a"
}

task "stat" "e" {
  on_each  = [var.failed]
  for_each = ["a"]
  path     = "/a"
}

task "etcd_members" "f" {
  become = true
}
