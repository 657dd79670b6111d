playbook "x" {
  language = 1
}

locals {
  a = "x[31m‮" + nope
}
