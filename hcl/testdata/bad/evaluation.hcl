playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  a = 1 / 0
  b = "x" + 1
  c = [1, 2][5]
  d = { a = 1 }.b
  e = true ? 1 : "x"
  f = "${null}"
  g = "${[1, 2]}"
  h = "a" && true
  i = [for x in 5 : x]
  j = { for x in ["a", "a"] : x => 1 }
}
