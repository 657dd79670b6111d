inventory {
  language = 1
}

locals {
  a = local.b
  b = local.a
  c = var.x
  d = host.a
  e = local.nope
  f = timestamp()
  g = upperr("x")
  h = 1 / 0
  i = sensitive("secret")
  j = local
  k = "x"
  x {}
}

locals {
  k = "y"
}

cluster "c" {
  members = [local.k]
  token   = local.i
  user    = local.a
  group   = file("x")
}

host "x" {
  address = local.k
  labels  = { a = "x\ny", b = 1 }
}
