playbook "x" {
  language = 1
}

locals {
  a = var.x or var.y
}
