playbook "x" {
  language = 1
}

locals {
  a = uuid()
  b = try(var.x, 1)
  c = quorum(3)
  d = jion(",", [])
  e = file("/etc/shadow")
  f = length()
  g = join(",", 5)
  h = upper(1)
}
