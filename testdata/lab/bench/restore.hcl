playbook "restore" {
  language    = 1
  description = "Restore a snapshot on the first host, beside its data directory."
}

variable "snapshot" {
  type = string
}

variable "data_dir" {
  type = string
}

locals {
  node = cluster.members[0]
}

task "etcd_snapshot_restore" "data" {
  on                    = local.node
  snapshot              = var.snapshot
  data_dir              = var.data_dir
  name                  = local.node.member.name
  peer_urls             = local.node.member.peer_urls
  initial_cluster       = etcd::initial_cluster([local.node.member])
  initial_cluster_token = "${cluster.token}-${run.id}"
}
