playbook "replace-member" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Replace a failed member while the cluster still has quorum."
}

variable "failed" {
  type        = host
  description = "The host whose member failed. Without a replacement, it is used again for the new member."

  validation {
    condition     = contains(cluster.members[*].name, var.failed.name)
    error_message = "${var.failed.name} is not among members of cluster ${cluster.name} in the inventory: ${join(", ", cluster.members[*].name)}. If it is a member of the running cluster, write it there."
  }
}

variable "replacement" {
  type        = host
  default     = null
  nullable    = true
  description = "Another host for the new member, when the machine itself is gone. The failed host is then never contacted."

  validation {
    condition     = var.replacement == null || !contains(cluster.members[*].name, coalesce(var.replacement, var.failed).name)
    error_message = "The replacement is a member already. Give a spare host, or leave it out to use the failed host again."
  }
}

variable "as_learner" {
  type        = bool
  default     = true
  description = "Join without a vote, and get it once the log has caught up (etcd 3.4 and later). With false, the addition itself raises the quorum."
}

variable "even_if_healthy" {
  type        = bool
  default     = false
  description = "Replace the member although it answers."
}

variable "set_old_data_aside" {
  type        = bool
  default     = false
  description = "Move a data directory of an earlier life of the replacement away. Without it, such a directory is an error. The failed host's own is always moved."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long the new member may take to catch up, and the cluster to be healthy again."
}

locals {
  target    = coalesce(var.replacement, var.failed)
  reused    = local.target.name == var.failed.name
  others    = [for h in cluster.members : h if h.name != var.failed.name]
  endpoints = flatten(local.others[*].member.client_urls)
  old       = etcd::member_for(task.before.members, var.failed)

  # The folder above the data directory.
  above = regex("^(.*)/[^/]+$", cluster.data_dir)[0]
}

phase "survey" {
  description = "What is there, and whether a member can be spared."

  task "etcd_members" "before" {
    endpoints = local.endpoints
  }

  task "etcd_health" "before_health" {
    endpoints = local.endpoints
  }

  task "assert" "is_member" {
    condition     = local.old != null
    error_message = "No member of the running cluster has the peer URL of ${var.failed.name}."
  }

  task "assert" "has_failed" {
    condition     = !contains(task.before_health.healthy, local.old.name) || var.even_if_healthy
    error_message = "${var.failed.name} is healthy. With --var even_if_healthy=true it is replaced all the same."
  }

  task "assert" "quorum_without_it" {
    locked        = true
    condition     = length([for n in task.before_health.healthy : n if n != local.old.name]) >= etcd::quorum(task.before.count)
    error_message = "The other healthy members are no majority of ${task.before.count} (Q1), so no member can be replaced: the quorum is lost. Bring members back, or go on with restore-v3 or, without a snapshot, recover-quorum-v3."
  }

  # Where etcd's user could swap what is in a folder, root makes and moves nothing. Debian's package leaves it so.
  task "stat" "above_data" {
    when = cluster.layout == "debian"
    on   = local.target
    path = local.above

    postcondition {
      condition     = self.owner != "etcd"
      error_message = "The folder above ${cluster.data_dir} belongs to etcd, so nothing in it can be moved safely. Once, on ${local.target.name}: chown root: ${local.above} && chmod 0755 ${local.above}."
    }
  }

  task "stat" "data" {
    description = "Before anything is changed, the host of the new member has to answer. If its machine is gone, name another with --var replacement=HOST."

    on   = local.target
    path = "${cluster.data_dir}/member"
  }

  task "assert" "no_foreign_data" {
    condition     = local.reused || !task.data.exists || var.set_old_data_aside
    error_message = "${local.target.name} has data of another member in ${cluster.data_dir}. With --var set_old_data_aside=true it is moved away."
  }

  # With https, a bad certificate would be noticed only by peers that refuse the new member, in their logs.
  task "etcd_certificates" "certificates" {
    on     = local.target
    member = local.target.member
    peers  = flatten(local.others[*].member.peer_urls)

    postcondition {
      condition     = self.ok
      error_message = "With its certificates ${local.target.name} cannot join: ${join("; ", self.problems)}."
    }
  }
}

phase "remove" {
  description = "Stop what is left of the member, take it out of the cluster, keep its data."

  # Masked, so that a reboot does not start it with the old configuration.
  task "systemd_unit" "stop" {
    on    = local.target
    unit  = cluster.unit
    state = "masked"
  }

  task "etcd_member_remove" "old" {
    endpoints       = local.endpoints
    id              = local.old.id
    even_if_healthy = var.even_if_healthy
  }

  # A removed member's data makes the new one refuse to start. It is kept, never deleted.
  task "move" "old_data" {
    on         = local.target
    from       = cluster.data_dir
    to         = "${cluster.data_dir}.replaced-${run.id}"
    missing_ok = true
  }
}

phase "join" {
  description = "Add the new member, configure it from the answer, start it, give it its vote."

  task "directory" "data_dir" {
    on    = local.target
    path  = cluster.data_dir
    mode  = "0700"
    owner = cluster.user
    group = cluster.group
  }

  task "etcd_member_add" "add" {
    endpoints = local.endpoints
    name      = local.target.member.name
    peer_urls = local.target.member.peer_urls
    learner   = var.as_learner
  }

  # The results of the member addition become the new member's configuration:
  # flags in a drop-in, or in Debian's layout variables in a file. Never both:
  # etcd does not start with a flag and the variable of the same name.
  task "systemd_dropin" "config" {
    when = cluster.layout == "etcd-member"
    on   = local.target
    unit = cluster.unit
    name = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = task.add.name
      member                = local.target.member
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = cluster.token
    })
  }

  task "file" "variables" {
    when = cluster.layout == "debian"
    on   = local.target
    path = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = task.add.name
      member                = local.target.member
      data_dir              = cluster.data_dir
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = cluster.token
    })
  }

  task "systemd_unit" "unmask" {
    on    = local.target
    unit  = cluster.unit
    state = "unmasked"
  }

  # A flag that this release of etcd does not know would only be found out by a start that fails.
  task "etcd_flags" "flags" {
    on   = local.target
    unit = cluster.unit
  }

  task "systemd_unit" "start" {
    on      = local.target
    unit    = cluster.unit
    state   = "started"
    timeout = var.health_timeout
  }

  task "etcd_member_promote" "promote" {
    when      = var.as_learner
    endpoints = local.endpoints
    id        = task.add.id
    timeout   = var.health_timeout
  }

  rescue {
    task "systemd_journal" "why" {
      on    = local.target
      unit  = cluster.unit
      lines = 50
    }

    task "systemd_unit" "stop_new" {
      on    = local.target
      unit  = cluster.unit
      state = "stopped"
    }

    task "etcd_member_remove" "undo_add" {
      when      = task.add.id != null
      endpoints = local.endpoints
      id        = task.add.id

      # It may have got its vote before the failure.
      even_if_healthy = true
    }

    # The next attempt needs an empty directory, and has a member of another ID.
    task "move" "failed_data" {
      when       = task.add.id != null
      on         = local.target
      from       = cluster.data_dir
      to         = "${cluster.data_dir}.failed-${task.add.id}"
      missing_ok = true
    }
  }
}

phase "prove" {
  description = "Every member healthy, on one version, with the same data."

  task "etcd_health" "proof" {
    endpoints = concat(local.endpoints, local.target.member.client_urls)
    hash      = true
    timeout   = var.health_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok && self.hash_equal
    }

    postcondition {
      condition     = self.ok
      error_message = "Not healthy after the replacement: ${join(", ", self.unhealthy)}."
    }

    postcondition {
      condition     = self.hash_equal
      error_message = "The members hold different data (HashKV). Take the new member out of service, and do not write."
    }

    postcondition {
      condition     = length(self.versions) == 1
      error_message = "The members run different versions: ${join(", ", self.versions)}. Finish the upgrade."
    }
  }
}

output "old_member_id" {
  value       = task.old.id
  description = "The ID of the member that was taken out, hex."
}

output "new_member_id" {
  value       = task.add.id
  description = "The ID of the member that took its place, hex."
}

output "old_data" {
  value       = task.old_data.moved ? task.old_data.to : null
  description = "Where the data directory was put that was there on the new member's host; null if there was none."
}

output "inventory_members" {
  value       = [for h in cluster.members : h.name == var.failed.name ? local.target.name : h.name]
  description = "What members of the cluster has to be in the inventory from now on."
}
