playbook "x" {
  language = 1
}

variable "new" {
  type = string
}

locals {
  a = vars.new
  b = local.nwe
  c = var.nwe
  d = item.x
  e = plain
  f = some.thing.else
  g = var
  h = local.new
  i = "${name}"
  j = run.dry_run
}

task "assert" "x" {
  condition     = local.a == local.c
  error_message = "x"
}
