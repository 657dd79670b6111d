playbook "snapshot-v3" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Take a snapshot of the cluster, check it byte by byte, and try it with a genuine etcd."
}

variable "node" {
  type        = host
  default     = null
  nullable    = true
  description = "The member to take the snapshot of. Without it, the first of the inventory's members."
}

variable "to_controller" {
  type        = bool
  default     = false
  description = "Save to the machine that etcdplay runs on. Without it, the snapshot stays on the member's host."
}

variable "backup_dir" {
  type        = string
  default     = "/var/lib/etcd_backup"
  description = "The directory that snapshots go to. It is made if it is missing, for the user who writes there alone."
}

variable "try" {
  type        = bool
  default     = true
  description = "Restore the snapshot into a scratch directory beside it and run an etcd on that for a moment. It takes as much room again."
}

variable "etcd" {
  type        = string
  default     = null
  nullable    = true
  description = "The etcd program to try the snapshot with. Without it, the one in the search path, else etcdplay's own."
}

variable "stale_ok" {
  type        = bool
  default     = false
  description = "Take the snapshot also of a member that cannot answer for the cluster, because it has no quorum or has fallen behind. Where authentication is on nobody can log in without a quorum; go on with recover-quorum-v3 then."
}

locals {
  node     = coalesce(var.node, cluster.members[0])
  snapshot = "${var.backup_dir}/${cluster.name}-${run.id}.db"
}

phase "survey" {
  description = "Whether the member is one to take a snapshot of."

  task "etcd_health" "health" {
    require = "none"
  }

  task "assert" "member_serves" {
    condition     = var.stale_ok || contains(task.health.healthy, local.node.member.name)
    error_message = "The member of ${local.node.name} does not serve, and what it would save may be old. Those that do: ${join(", ", task.health.healthy)}. Name the host of one of them with --var node=HOST, or give --var stale_ok=true."
  }
}

phase "save" {
  description = "Stream the snapshot to a file, and look at every page of it."

  task "directory" "node_dir" {
    on   = local.node
    when = !var.to_controller
    path = var.backup_dir
    mode = "0700"
  }

  task "directory" "controller_dir" {
    on   = localhost
    when = var.to_controller
    path = var.backup_dir
    mode = "0700"
  }

  task "etcd_snapshot_save" "to_node" {
    on       = local.node
    when     = !var.to_controller
    endpoint = local.node.member.client_urls[0]
    path     = local.snapshot
  }

  task "etcd_snapshot_save" "to_controller" {
    when     = var.to_controller
    endpoint = local.node.member.client_urls[0]
    path     = local.snapshot
  }
}

phase "check" {
  description = "Read it again from the disk, and run an etcd on it."

  task "etcd_snapshot_status" "node_status" {
    on   = local.node
    when = !var.to_controller
    path = local.snapshot

    postcondition {
      condition     = self.sha256 == task.to_node.sha256 && self.revision == task.to_node.revision
      error_message = "What is on the disk is not what was saved: revision ${self.revision}, sha256 ${self.sha256}."
    }
  }

  task "etcd_snapshot_status" "controller_status" {
    when = var.to_controller
    path = local.snapshot

    postcondition {
      condition     = self.sha256 == task.to_controller.sha256 && self.revision == task.to_controller.revision
      error_message = "What is on the disk is not what was saved: revision ${self.revision}, sha256 ${self.sha256}."
    }
  }

  task "etcd_snapshot_trial" "node_trial" {
    on   = local.node
    when = !var.to_controller && var.try
    path = local.snapshot
    etcd = var.etcd
  }

  task "etcd_snapshot_trial" "controller_trial" {
    when = var.to_controller && var.try
    path = local.snapshot
    etcd = var.etcd
  }
}

output "snapshot" {
  value       = local.snapshot
  description = "The snapshot. Beside it, .json says what it holds and .trial.json what came of the trial."
}

output "host" {
  value       = var.to_controller ? null : local.node.name
  description = "The host it is on; null for the machine that etcdplay runs on."
}

output "sha256" {
  value       = var.to_controller ? task.to_controller.sha256 : task.to_node.sha256
  description = "Of the whole file."
}

output "revision" {
  value       = var.to_controller ? task.to_controller.revision : task.to_node.revision
  description = "The last revision in it."
}

output "total_keys" {
  value       = var.to_controller ? task.to_controller.total_keys : task.to_node.total_keys
  description = "How many keys there are at that revision."
}

output "hash_kv" {
  value       = var.to_controller ? task.controller_trial.hash_kv : task.node_trial.hash_kv
  description = "HashKV of the etcd that ran with it; null if none did."
}
