playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

variable "names" {
  type = list(string)
}

variable "name" {
  type = string
}

task "stat" "a" {
  on   = cluster.members
  path = "/a"
}

task "stat" "b" {
  on   = var.name
  path = "/a"
}

task "stat" "c" {
  on_each = var.failed
  path    = "/a"
}

task "stat" "d" {
  on_each = var.names
  path    = "/a"
}

task "stat" "e" {
  on   = null
  path = "/a"
}

task "stat" "f" {
  on_each = host
  path    = "/a"
}

task "stat" "g" {
  on   = 5
  path = "/a"
}
