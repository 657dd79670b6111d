playbook "join-member" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Let one host join a healthy cluster. Called by scale for each of its hosts."
}

variable "new" {
  type        = host
  description = "The host that becomes a member. It is in the inventory, and etcd is installed on it."
}

variable "endpoints" {
  type        = list(string)
  default     = null
  nullable    = true
  description = "Client URLs to speak to the cluster through. Without them, those of the inventory's members."
}

variable "token" {
  type        = string
  default     = null
  nullable    = true
  description = "The cluster's token, where it is no longer the inventory's."
}

variable "as_learner" {
  type        = bool
  default     = true
  description = "Join without a vote, and get it once the log has caught up (etcd 3.4 and later). With false, the addition itself raises the quorum."
}

variable "set_old_data_aside" {
  type        = bool
  default     = false
  description = "Move a data directory of an earlier life of the host away. Without it, such a directory is an error."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long the new member may take to catch up, and the cluster to be healthy."
}

variable "quarantine_port" {
  type        = number
  default     = null
  nullable    = true
  description = "Serve clients on this port, which none of them knows. The caller opens the member in the end (see restore-v3)."
}

locals {
  endpoints  = coalesce(var.endpoints, cluster.endpoints)
  quarantine = ["${cluster.scheme}://${var.new.address}:${coalesce(var.quarantine_port, 0)}"]
  member     = var.quarantine_port == null ? var.new.member : merge(var.new.member, { client_urls = local.quarantine, listen_client_urls = local.quarantine })

  # The folder above the data directory.
  above = regex("^(.*)/[^/]+$", cluster.data_dir)[0]
}

phase "survey" {
  description = "Whether the cluster can take the host in, and the host is ready."

  task "etcd_members" "before" {
    endpoints = local.endpoints
  }

  # A member that joined a moment ago may still be publishing itself.
  task "etcd_health" "before_health" {
    endpoints = local.endpoints
    timeout   = var.health_timeout

    retry {
      attempts     = 8
      interval     = "100ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok
    }
  }

  task "assert" "all_healthy" {
    locked        = true
    condition     = task.before_health.ok
    error_message = "Not healthy: ${join(", ", task.before_health.unhealthy)}. A member is added to a healthy cluster only (Q9): replace the failed one first (etcdplay run replace-member), or, without a quorum, restore from a snapshot."
  }

  task "assert" "not_a_member" {
    condition     = etcd::member_for(task.before.members, var.new) == null
    error_message = "${var.new.name} is a member already (found by its peer URL)."
  }

  # Where etcd's user could swap what is in a folder, root makes and moves nothing. Debian's package leaves it so.
  task "stat" "above_data" {
    when = cluster.layout == "debian"
    on   = var.new
    path = local.above

    postcondition {
      condition     = self.owner != "etcd"
      error_message = "The folder above ${cluster.data_dir} belongs to etcd, so nothing in it can be moved safely. Once, on ${var.new.name}: chown root: ${local.above} && chmod 0755 ${local.above}."
    }
  }

  task "stat" "old_data" {
    on   = var.new
    path = "${cluster.data_dir}/member"
  }

  task "assert" "no_old_data" {
    condition     = !task.old_data.exists || var.set_old_data_aside
    error_message = "${var.new.name} has data of an earlier member in ${cluster.data_dir}. With --var set_old_data_aside=true it is moved away."
  }

  # With https, a bad certificate would be noticed only by peers that refuse the new member, in their logs.
  task "etcd_certificates" "certificates" {
    on     = var.new
    member = var.new.member
    peers  = flatten(task.before.members[*].peer_urls)

    postcondition {
      condition     = self.ok
      error_message = "With its certificates ${var.new.name} cannot join: ${join("; ", self.problems)}."
    }
  }

  task "systemd_unit" "stop" {
    on    = var.new
    unit  = cluster.unit
    state = "stopped"
  }

  task "move" "set_aside" {
    on         = var.new
    when       = var.set_old_data_aside
    from       = cluster.data_dir
    to         = "${cluster.data_dir}.before-${run.id}"
    missing_ok = true
  }
}

phase "join" {
  description = "Add the member, configure it from the answer, start it, give it its vote."

  task "directory" "data_dir" {
    on    = var.new
    path  = cluster.data_dir
    mode  = "0700"
    owner = cluster.user
    group = cluster.group
  }

  task "etcd_member_add" "add" {
    endpoints = local.endpoints
    name      = var.new.member.name
    peer_urls = var.new.member.peer_urls
    learner   = var.as_learner
  }

  # The results of the member addition become the new member's configuration:
  # flags in a drop-in, or in Debian's layout variables in a file. Never both:
  # etcd does not start with a flag and the variable of the same name.
  task "systemd_dropin" "config" {
    when = cluster.layout == "etcd-member"
    on   = var.new
    unit = cluster.unit
    name = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = task.add.name
      member                = local.member
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = coalesce(var.token, cluster.token)
    })
  }

  task "file" "variables" {
    when = cluster.layout == "debian"
    on   = var.new
    path = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = task.add.name
      member                = local.member
      data_dir              = cluster.data_dir
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = coalesce(var.token, cluster.token)
    })
  }

  # A flag that this release of etcd does not know would only be found out by a start that fails.
  task "etcd_flags" "flags" {
    on   = var.new
    unit = cluster.unit
  }

  task "systemd_unit" "start" {
    on      = var.new
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

  task "etcd_health" "joined" {
    endpoints = concat(local.endpoints, local.member.client_urls)
    timeout   = var.health_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok
    }

    postcondition {
      condition     = self.ok
      error_message = "After the addition these are not healthy: ${join(", ", self.unhealthy)}."
    }
  }

  rescue {
    task "systemd_journal" "why" {
      on    = var.new
      unit  = cluster.unit
      lines = 50
    }

    task "systemd_unit" "stop_new" {
      on    = var.new
      unit  = cluster.unit
      state = "stopped"
    }

    # A member that was added and does not run is taken out again: with a vote, it would count for the quorum.
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
      on         = var.new
      from       = cluster.data_dir
      to         = "${cluster.data_dir}.failed-${task.add.id}"
      missing_ok = true
    }
  }
}

output "member_id" {
  value       = task.add.id
  description = "The ID of the new member, hex."
}

output "initial_cluster" {
  value       = task.add.initial_cluster
  description = "The members as the new one was configured with them."
}
