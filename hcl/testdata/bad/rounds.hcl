playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

variable "names" {
  type = set(string)
}

variable "secret" {
  type      = list(string)
  sensitive = true
}

task "etcd_members" "a" {
  for_each = var.names
}

task "etcd_members" "b" {
  for_each = ["a", "b", "a"]
}

task "etcd_members" "c" {
  for_each = 3
}

task "etcd_members" "d" {
  for_each = [1, 2]
}

task "etcd_members" "e" {
  for_each = var.secret
}

task "etcd_members" "f" {
  for_each = [{ nmae = "x" }]
}

task "etcd_members" "g" {
  for_each = null
}

task "etcd_members" "h" {
  for_each = [{ name = "x" }, { name = "x" }]
}

task "stat" "i" {
  on_each = [localhost, localhost]
  path    = "/a"
}
