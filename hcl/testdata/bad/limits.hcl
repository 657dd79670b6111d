playbook "x" {
  language = 1
}

locals {
  a = format("%1000000000d", 1)
  b = 1e99999999
  c = regex("(", "x")
}
