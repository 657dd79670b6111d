playbook "x" {
  language = 1
}

locals {
  a = local.b
  b = local.c
  c = local.a
  d = local.d + 1
  e = local.a
}

output "o" {
  value = local.e
}
