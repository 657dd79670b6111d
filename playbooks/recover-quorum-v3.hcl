playbook "recover-quorum-v3" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Go on with the data of a surviving member where the quorum is lost and there is no snapshot."
}

variable "lost" {
  type        = list(host)
  description = "Hosts of members that are gone for good. All the others have to answer, and are stopped."

  validation {
    condition     = alltrue([for h in var.lost : contains(cluster.members[*].name, h.name)])
    error_message = "Not a member of cluster ${cluster.name}: ${join(", ", [for h in var.lost : h.name if !contains(cluster.members[*].name, h.name)])}."
  }
}

variable "survivor" {
  type        = host
  default     = null
  nullable    = true
  description = "The host to go on with. Without it, the one whose log goes furthest."
}

variable "even_if_behind" {
  type        = bool
  default     = false
  description = "Go on with the survivor that is given although the log of another one goes further."
}

variable "hosts" {
  type        = list(host)
  default     = null
  nullable    = true
  description = "The hosts that the cluster runs on afterwards. Without them, all that are not lost."
}

variable "grow" {
  type        = bool
  default     = false
  description = "Begin with one member, and let the others join it one after the other."
}

variable "quarantine" {
  type        = bool
  default     = false
  description = "Keep clients out until the end (see restore-v3)."
}

variable "revision_bump" {
  type        = number
  default     = 0
  description = "Raise the revision by so much, where watchers live on (see restore-v3)."
}

variable "form_timeout" {
  type        = string
  default     = "5m"
  description = "How long the members may take to find each other and to be healthy."
}

locals {
  lost      = var.lost[*].name
  reachable = [for h in cluster.members : h if !contains(local.lost, h.name)]

  # The folder above the data directory.
  above = regex("^(.*)/[^/]+$", cluster.data_dir)[0]
}

phase "evidence" {
  description = "What is left. Nothing is changed."

  task "etcd_remains" "before" {
    lost = local.lost
  }

  task "assert" "all_answer" {
    locked        = true
    condition     = length(task.before.unreachable) == 0
    error_message = "No answer from ${join(", ", task.before.unreachable)}. A member that comes back later would go on as the old cluster, so each has to be stopped and masked, or named: --var lost=${join(",", concat(local.lost, task.before.unreachable))} says that they are gone for good."
  }

  task "assert" "lost_are_silent" {
    locked        = true
    condition     = length(task.before.answering) == 0
    error_message = "Named as lost, and a member answers there all the same: ${join(", ", task.before.answering)}. Take it off the list, so that it is stopped with the others."
  }

  task "assert" "quorum_is_lost" {
    locked        = true
    condition     = !task.before.quorum
    error_message = "The cluster has a quorum (Q12): ${join(", ", task.before.healthy)} are healthy. To mend it, replace the members that are down (replace-member)."
  }

  # Where etcd's user could swap what is in a folder, root makes and moves nothing. Debian's package leaves it so.
  task "stat" "above_data" {
    on_each  = local.reachable
    parallel = length(local.reachable)
    when     = cluster.layout == "debian"
    path     = local.above

    postcondition {
      condition     = self.owner != "etcd"
      error_message = "The folder above ${cluster.data_dir} belongs to etcd, so nothing in it can be moved safely. Once, on ${target.name}: chown root: ${local.above} && chmod 0755 ${local.above}."
    }
  }

  # The database of a member that runs is locked; its log can be read.
  task "etcd_data_dir" "data" {
    on_each  = local.reachable
    parallel = length(local.reachable)
  }
}

phase "choose" {
  description = "Stop the survivors, which serve nobody, and compare what they have."

  task "confirm" "stop" {
    message = "Stop etcd on ${join(", ", local.reachable[*].name)}, to compare their data and to go on with the best?"
  }

  task "systemd_unit" "halt" {
    on_each        = local.reachable
    parallel       = length(local.reachable)
    unit           = cluster.unit
    state          = "masked"
    allow_downtime = true
  }

  task "etcd_data_dir" "left" {
    on_each  = local.reachable
    parallel = length(local.reachable)
  }

  task "etcd_survivor" "best" {
    host           = var.survivor == null ? null : var.survivor.name
    even_if_behind = var.even_if_behind
    remains = [for name, d in task.left : {
      host     = name
      readable = d.log_readable && !d.locked && d.exists
      problem  = d.problem
      term     = d.term
      index    = d.index
      removed  = d.removed
      learner  = d.learner
    }]
  }

  rescue {
    # No data was touched, so what ran may go on.
    task "systemd_unit" "release" {
      on_each  = local.reachable
      parallel = length(local.reachable)
      when     = contains(keys(task.halt), target.name)
      unit     = cluster.unit
      state    = "unmasked"
    }

    task "systemd_unit" "go_on" {
      on_each  = local.reachable
      parallel = length(local.reachable)
      when     = contains(keys(task.halt), target.name) && contains(task.before.running, target.name)
      unit     = cluster.unit
      state    = "started"
      wait     = false
    }
  }
}

# What the database of the survivor holds is a snapshot without a checksum, and the writes that only its log has are lost.
phase "restore" {
  description = "Restore the survivor's database for a new cluster."

  task "playbook" "restore" {
    source = "restore-v3.hcl"
    with = {
      snapshot               = "${cluster.data_dir}/member/snap/db"
      snapshot_on            = [for h in cluster.members : h if h.name == task.best.host][0]
      snapshot_from_data_dir = true
      lost                   = var.lost
      hosts                  = var.hosts
      grow                   = var.grow
      quarantine             = var.quarantine
      revision_bump          = var.revision_bump
      form_timeout           = var.form_timeout
    }
  }
}

output "survivor" {
  value       = task.best.host
  description = "The host whose data the cluster goes on with."
}

output "revision" {
  value       = task.restore.revision
  description = "The revision that the cluster began with, of the survivor's database."
}

output "lost_revisions" {
  value       = task.restore.lost_revisions
  description = "How many revisions the members that could be read had, and the cluster lacks. What only the lost members knew nobody can tell."
}

output "cluster_id" {
  value       = task.restore.cluster_id
  description = "The ID of the cluster that goes on, hex. The old one's members have another, and cannot join."
}

output "token" {
  value       = task.restore.token
  description = "The initial cluster token from now on. Put it, and the cluster's ID if it is there, into the inventory."
}

output "old_data" {
  value       = task.restore.old_data
  description = "Where the old data is, on each host."
}

output "inventory_members" {
  value       = task.restore.inventory_members
  description = "What members of the cluster has to be in the inventory from now on."
}
