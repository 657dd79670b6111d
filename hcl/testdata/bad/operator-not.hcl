playbook "x" {
  language = 1
}

locals {
  a = not true
}
