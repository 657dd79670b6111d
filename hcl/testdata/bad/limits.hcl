playbook "x" {
  language = 1
}

locals {
  a = format("%1000000000d", 1)
  b = 1e99999999
  c = regex("(", "x")
  d = "${2e400 * 2}"
  e = [for a in local.g : [for b in local.g : [for c in local.g : [for d in local.g : "${a}${d}"]]]]
  f = "0123456789abcdef0123456789abcdef"
  g = split("", "${local.f}${local.f}${local.f}")
  f1 = "${local.f}${local.f}"
  f2 = "${local.f1}${local.f1}"
  f3 = "${local.f2}${local.f2}"
  f4 = "${local.f3}${local.f3}"
  f5 = "${local.f4}${local.f4}"
  f6 = "${local.f5}${local.f5}"
  f7 = "${local.f6}${local.f6}"
  f8 = "${local.f7}${local.f7}"
  f9 = "${local.f8}${local.f8}"
  f10 = "${local.f9}${local.f9}"
  f11 = "${local.f10}${local.f10}"
  f12 = "${local.f11}${local.f11}"
  f13 = "${local.f12}${local.f12}"
  f14 = "${local.f13}${local.f13}"
  f15 = "${local.f14}${local.f14}"
  f16 = "${local.f15}${local.f15}"
  f17 = "${local.f16}${local.f16}"
  h0 = [0]
  h1 = [local.h0, local.h0]
  h2 = [local.h1, local.h1]
  h3 = [local.h2, local.h2]
  h4 = [local.h3, local.h3]
  h5 = [local.h4, local.h4]
  h6 = [local.h5, local.h5]
  h7 = [local.h6, local.h6]
  h8 = [local.h7, local.h7]
  h9 = [local.h8, local.h8]
  h10 = [local.h9, local.h9]
  h11 = [local.h10, local.h10]
  h12 = [local.h11, local.h11]
  h13 = [local.h12, local.h12]
  h14 = [local.h13, local.h13]
  h15 = [local.h14, local.h14]
  h16 = [local.h15, local.h15]
  h17 = [local.h16, local.h16]
  h18 = [local.h17, local.h17]
  h19 = [local.h18, local.h18]
}
