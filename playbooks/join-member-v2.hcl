playbook "join-member-v2" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Let one host join a healthy cluster over API 2. Called by force-new-cluster-v2 for each of its hosts."
}

variable "new" {
  type        = host
  description = "The host that becomes a member. It is in the inventory, and etcd is installed on it."

  validation {
    condition     = cluster.api == 2
    error_message = "Cluster ${cluster.name} speaks API ${cluster.api}. Use join-member."
  }
}

variable "endpoints" {
  type        = list(string)
  default     = null
  nullable    = true
  description = "Client URLs to speak to the cluster through. Without them, those of the inventory's members."
}

variable "set_old_data_aside" {
  type        = bool
  default     = false
  description = "Move a data directory of an earlier life of the host away. Without it, such a directory is an error."
}

variable "enable_v2" {
  type        = bool
  default     = true
  description = "Write a drop-in that makes the new member serve API 2 (ETCD_ENABLE_V2=true), which etcd 3.4 and 3.5 do not by themselves. With false, its unit has to say so already."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long the new member may take to catch up, and the cluster to be healthy."
}

locals {
  endpoints = coalesce(var.endpoints, cluster.endpoints)
}

phase "survey" {
  task "etcd2_members" "before" {
    endpoints = local.endpoints
  }

  # A member that joined a moment ago may still be publishing itself.
  task "etcd2_health" "before_health" {
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
    error_message = "Not healthy: ${join(", ", task.before_health.unhealthy)}. A member is added to a healthy cluster only (Q9)."
  }

  task "assert" "not_a_member" {
    condition     = etcd::member_for(task.before.members, var.new) == null
    error_message = "${var.new.name} is a member already (found by its peer URL)."
  }

  task "etcd2_data" "old_data" {
    on       = var.new
    data_dir = cluster.data_dir
  }

  task "assert" "no_old_data" {
    condition     = !task.old_data.exists || var.set_old_data_aside
    error_message = "${var.new.name} has data of an earlier member in ${cluster.data_dir}. With --var set_old_data_aside=true it is moved away."
  }

  # With https, a bad certificate would be noticed only by peers that refuse the new member; beside a single one, that
  # would be the end of the quorum.
  task "etcd_certificates" "certificates" {
    on     = var.new
    member = var.new.member
    peers  = flatten(task.before.members[*].peer_urls)

    postcondition {
      condition     = self.ok
      error_message = "With its certificates ${var.new.name} cannot join: ${join("; ", self.problems)}."
    }
  }

  # A boot of the host must not start etcd with the configuration of its earlier life.
  task "systemd_unit" "stop" {
    on    = var.new
    unit  = cluster.unit
    state = "masked"
  }

  task "move" "set_aside" {
    on         = var.new
    when       = var.set_old_data_aside
    from       = cluster.data_dir
    to         = "${cluster.data_dir}.before-${run.id}"
    missing_ok = true
  }
}

# There is no rescue here. API 2 knows no learners, so the new member has its vote at once; beside a single one it has to
# run before anything can be written, its own removal included. What failed is put right, and resume goes on where it stood.
phase "join" {
  task "directory" "data_dir" {
    on    = var.new
    path  = cluster.data_dir
    mode  = "0700"
    owner = cluster.user
    group = cluster.group
  }

  task "systemd_dropin" "v2" {
    on      = var.new
    when    = var.enable_v2
    unit    = cluster.unit
    name    = "21-etcdplay-v2.conf"
    content = <<-EOT
      [Service]
      Environment="ETCD_ENABLE_V2=true"
    EOT
  }

  task "etcd2_member_add" "add" {
    endpoints      = local.endpoints
    name           = var.new.member.name
    peer_urls      = var.new.member.peer_urls
    allow_downtime = true
  }

  # The results of the member addition become the new member's configuration:
  # flags in a drop-in, or in Debian's layout variables in a file.
  task "systemd_dropin" "config" {
    when = cluster.layout == "etcd-member"
    on   = var.new
    unit = cluster.unit
    name = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = task.add.name
      member                = var.new.member
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = cluster.token
    })
  }

  task "file" "variables" {
    when = cluster.layout == "debian"
    on   = var.new
    path = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = task.add.name
      member                = var.new.member
      data_dir              = cluster.data_dir
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = cluster.token
    })
  }

  # Only now, with the old data away and the new configuration there, may etcd be started on this host again.
  task "systemd_unit" "release" {
    on    = var.new
    unit  = cluster.unit
    state = "unmasked"
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

  task "etcd2_health" "joined" {
    endpoints = concat(local.endpoints, var.new.member.client_urls)
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
}

output "member_id" {
  value       = task.add.id
  description = "The ID of the new member, hex."
}

output "initial_cluster" {
  value       = task.add.initial_cluster
  description = "The members as the new one was configured with them."
}
