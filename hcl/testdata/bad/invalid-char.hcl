playbook "x" {
  language = 1
}

locals {
  a = 1 ; b = 2
}
