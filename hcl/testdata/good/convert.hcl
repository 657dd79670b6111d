# The type in convert is no expression: its words are neither names nor functions.
playbook "convert" {
  language = 1
}

variable "ports" {
  type    = set(number)
  default = convert(["2379", "2380"], set(number))
}

locals {
  spec  = convert({ name = "a" }, object({ name = string, port = optional(number, 2379) }))
  names = [for p in convert(var.ports, list(string)) : "${p}-${convert(5, string)}"]
}

task "exec" "ports" {
  on       = localhost
  for_each = convert(["a", "b"], list(string))
  argv     = concat(["/bin/echo", local.spec.name], local.names, [convert(local.spec.port, string)])
}
