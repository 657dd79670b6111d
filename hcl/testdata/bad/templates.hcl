playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  dir = "templates"
  a   = templatefile("${local.dir}/x.tmpl", {})
  b   = templatefile("../../secret.tmpl", {})
  c   = templatefile("templates/none.tmpl", {})
  d   = templatefile("/etc/passwd", {})
}
