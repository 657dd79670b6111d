playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  a = var.failed.nmae
  b = var.failed.member.peer_url
  c = cluster.endpoint
  d = run.started
  e = path.module
  f = localhost.adress
  g = host["demo-etcd-1"].ip
  h = cluster.members.name
  i = [for h in cluster.members : h.nmae]
  j = { for h in cluster.members : h.name => h.member.nope if h.x }
}
