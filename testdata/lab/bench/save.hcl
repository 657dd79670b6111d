playbook "save" {
  language    = 1
  description = "Stream a snapshot of the first member to this machine."
}

variable "path" {
  type = string
}

task "etcd_snapshot_save" "snapshot" {
  endpoint = cluster.members[0].member.client_urls[0]
  path     = var.path
}
