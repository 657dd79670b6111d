playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

variable "n" {
  type = number
}

locals {
  a = var.n == "5"
  b = [for h in cluster.members : h.name if h.name == 1]
  c = var.failed == "demo-etcd-2"
  d = cluster.members != "x"
  e = true == "true"
  f = var.n == tobool("true")
  g = var.n == null
}
