playbook "force-new-cluster-v2" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Quorum is lost for good in a cluster that speaks API 2: go on with what one member has, and add members back."
}

variable "survivor" {
  type        = host
  description = "The member whose data is kept."

  validation {
    condition     = cluster.api == 2
    error_message = "Cluster ${cluster.name} speaks API ${cluster.api}. This playbook is for API 2 (api = 2 in the inventory's cluster); data of API 3 is restored from a snapshot."
  }

  validation {
    condition     = contains(cluster.members[*].name, var.survivor.name)
    error_message = "${var.survivor.name} is not among members of cluster ${cluster.name} in the inventory: ${join(", ", cluster.members[*].name)}."
  }
}

variable "lost" {
  type        = list(host)
  default     = []
  description = "Members whose machines are gone for good. They are not contacted; every other member has to be, to keep it from coming back."

  validation {
    condition     = !contains(var.lost[*].name, var.survivor.name)
    error_message = "${var.survivor.name} cannot be both the survivor and lost."
  }

  validation {
    condition     = length(setsubtract(var.lost[*].name, cluster.members[*].name)) == 0
    error_message = "Not members of cluster ${cluster.name}: ${join(", ", setsubtract(var.lost[*].name, cluster.members[*].name))}."
  }
}

variable "rejoin" {
  type        = list(host)
  default     = []
  description = "Hosts that become members afterwards, in this order: former members, with their old data moved aside, or others."

  validation {
    condition     = !contains(var.rejoin[*].name, var.survivor.name) && length(setsubtract(var.lost[*].name, var.rejoin[*].name)) == length(var.lost)
    error_message = "The survivor and what is lost cannot rejoin."
  }

  validation {
    condition     = length(distinct(var.rejoin[*].name)) == length(var.rejoin)
    error_message = "A host is named twice: ${join(", ", var.rejoin[*].name)}."
  }
}

variable "proxy_hosts" {
  type        = list(host)
  default     = []
  description = "Hosts that may run proxies of etcd, besides the members'. What each proxy needs is in the output."
}

variable "backup_dir" {
  type        = string
  default     = "/var/lib/etcd_backup"
  description = "Where the backup of the survivor goes, in a directory named by run."
}

variable "etcdctl" {
  type        = string
  default     = null
  nullable    = true
  description = "Path of etcdctl on the survivor, of its own release. Without it, the usual places are searched."
}

variable "even_if_healthy" {
  type        = bool
  default     = false
  description = "Go on although the cluster has a quorum, and drop the members that are healthy."
}

variable "even_if_behind" {
  type        = bool
  default     = false
  description = "Go on although the log of another member that can be read goes further than the survivor's."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long a member may take to start, and the cluster to be healthy."
}

locals {
  endpoints = var.survivor.member.client_urls
  self      = etcd::member_for(task.before.members, var.survivor)
  others    = [for h in cluster.members : h if h.name != var.survivor.name && !contains(var.lost[*].name, h.name)]
  reachable = concat([var.survivor], local.others)
  away      = [for h in cluster.members : h.name if h.name != var.survivor.name]
  own       = task.logs[var.survivor.name]
  ahead     = [for name, l in task.logs : name if l.exists && (l.term > local.own.term || l.term == local.own.term && l.index > local.own.index)]
  proxies   = flatten([for name, r in task.proxies : [for p in r.proxies : "${name}: ${p.unit} (${p.kind}): ${p.needs}"]])
  force     = "98-force-new-cluster.conf"
}

phase "survey" {
  description = "What is left, and whose data goes furthest."

  task "etcd2_members" "before" {
    endpoints = local.endpoints
  }

  task "etcd2_health" "before_health" {}

  task "assert" "is_member" {
    locked        = true
    condition     = local.self != null
    error_message = "${var.survivor.name} does not know itself as a member (by its peer URL): one that was removed cannot go on alone. Choose another survivor."
  }

  task "assert" "is_voter" {
    locked        = true
    condition     = !local.self.learner
    error_message = "${var.survivor.name} is a learner, and one without a vote cannot go on alone. Choose another survivor."
  }

  task "assert" "quorum_is_lost" {
    locked        = true
    condition     = !task.before_health.quorum || var.even_if_healthy
    error_message = "The cluster has a quorum (Q12): ${join(", ", task.before_health.healthy)} serve. Replace single members instead; what is not on ${var.survivor.name} would be lost. If that is meant: --var even_if_healthy=true."
  }

  # This is also the proof, before anything is changed, that every host answers which is not named as lost.
  task "etcd2_data" "logs" {
    on_each  = local.reachable
    data_dir = cluster.data_dir
  }

  task "assert" "has_data" {
    locked        = true
    condition     = local.own.exists && local.own.index > 0
    error_message = "${cluster.data_dir} on ${var.survivor.name} holds no log of a member, and etcd would begin an empty cluster without a word."
  }

  task "assert" "is_whole" {
    locked        = true
    condition     = local.own.damage == ""
    error_message = "The log of ${var.survivor.name} is damaged: ${local.own.damage}. Choose another survivor."
  }

  task "assert" "goes_furthest" {
    condition     = length(local.ahead) == 0 || var.even_if_behind
    error_message = "The log goes further on ${join(", ", local.ahead)} (Q13) than on ${var.survivor.name}, where it ends at term ${local.own.term}, index ${local.own.index}. Choose that survivor, or give --var even_if_behind=true."
  }

  task "etcd2_proxies" "proxies" {
    on_each = concat(local.reachable, var.proxy_hosts)
  }

  task "confirm" "sure" {
    message = "Drop ${join(", ", local.away)} and go on with what ${var.survivor.name} has${length(var.lost) == 0 ? "" : "; ${join(", ", var.lost[*].name)} will never come back"}?"
    typed   = "${cluster.name} goes on with ${var.survivor.name}"
  }
}

phase "hold" {
  description = "Stop the other members, and keep them from coming back."
  when        = length(local.others) > 0

  # A member of the old cluster that comes back meanwhile, by a reboot or by a person who means well, would make two
  # clusters of one. The mask outlives the next boot, and goes when the host joins again.
  task "systemd_unit" "hold" {
    on_each  = local.others
    parallel = length(local.others)
    unit     = cluster.unit
    state    = "masked"

    # The quorum is lost, or its loss is meant: both were checked above.
    allow_downtime = true
  }
}

phase "stop" {
  description = "Stop the survivor, and copy what it has."

  task "systemd_unit" "stop" {
    on             = var.survivor
    unit           = cluster.unit
    state          = "stopped"
    allow_downtime = true
  }

  task "etcd2_backup" "backup" {
    on         = var.survivor
    data_dir   = cluster.data_dir
    backup_dir = "${var.backup_dir}/${run.id}"
    etcdctl    = var.etcdctl
  }
}

phase "force" {
  description = "Make a cluster of one, and take back at once what forces it."

  # It is stopped already, unless its host was booted since.
  task "systemd_unit" "down" {
    on             = var.survivor
    unit           = cluster.unit
    state          = "stopped"
    allow_downtime = true
  }

  task "systemd_dropin" "force_on" {
    on      = var.survivor
    unit    = cluster.unit
    name    = local.force
    runtime = true
    content = <<-EOT
      [Service]
      Environment="ETCD_FORCE_NEW_CLUSTER=true"
    EOT
  }

  task "systemd_journal" "reload_log" {
    on    = var.survivor
    unit  = cluster.unit
    pid1  = true
    since = run.started_at

    postcondition {
      condition     = length([for e in self.errors : e if can(regex("force-new-cluster", e))]) == 0
      error_message = "systemd does not accept the drop-in: ${join("; ", self.errors)}"
    }
  }

  task "etcd2_force_new_cluster" "alone" {
    on        = var.survivor
    unit      = cluster.unit
    data_dir  = cluster.data_dir
    lost      = var.lost[*].name
    endpoints = local.endpoints
    timeout   = var.health_timeout
  }

  task "etcd2_members" "alone_members" {
    endpoints = local.endpoints

    postcondition {
      condition     = self.count == 1 && self.agreed
      error_message = "${self.count} members instead of one: the cluster was not formed anew."
    }
  }

  task "etcd2_health" "alone_health" {
    endpoints = local.endpoints

    postcondition {
      condition     = self.ok
      error_message = "The surviving member is not healthy."
    }

    postcondition {
      condition     = self.index >= task.before.index
      error_message = "The store is at index ${self.index}, and it was at ${task.before.index}: data is missing."
    }
  }

  task "etcd2_member_update" "peer_url" {
    endpoints = local.endpoints
    id        = task.alone.member_id
    peer_urls = var.survivor.member.peer_urls
  }

  # Left behind, it would make the next start throw out every member that was added since.
  always {
    task "systemd_dropin" "force_off" {
      on      = var.survivor
      unit    = cluster.unit
      name    = local.force
      runtime = true
      state   = "absent"
    }
  }
}

phase "grow" {
  description = "One host after the other; each must run before the next begins."
  when        = length(var.rejoin) > 0

  task "playbook" "join" {
    for_each = var.rejoin
    source   = "join-member-v2.hcl"
    with = {
      new                = each.value
      endpoints          = local.endpoints
      set_old_data_aside = true
      health_timeout     = var.health_timeout
    }
  }
}

phase "prove" {
  description = "Every member healthy, on one version, with no less than there was."

  task "etcd2_health" "proof" {
    endpoints = concat(local.endpoints, flatten(var.rejoin[*].member.client_urls))
    timeout   = var.health_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok
    }

    postcondition {
      condition     = self.ok && length(self.healthy) == 1 + length(var.rejoin)
      error_message = "Not healthy: ${join(", ", self.unhealthy)}; healthy: ${join(", ", self.healthy)}."
    }

    postcondition {
      condition     = self.index >= task.before.index
      error_message = "The store is at index ${self.index}, and it was at ${task.before.index}: data is missing."
    }

    postcondition {
      condition     = length(self.strangers) == 0
      error_message = "Etcd runs again where it is no member: ${join(", ", self.strangers)}. It cannot join, but clients that are sent there read what is old. Stop it, and move its data away."
    }

    postcondition {
      condition     = length(self.versions) == 1
      error_message = "The members run different versions: ${join(", ", self.versions)}. Finish the upgrade."
    }
  }
}

output "backup" {
  value       = task.backup.backup_dir
  description = "Where the copy of the survivor's data is, on the survivor."
}

output "member_id" {
  value       = task.alone.member_id
  description = "The member that went on alone."
}

output "members" {
  value       = 1 + length(var.rejoin)
  description = "How many members the cluster has now."
}

output "held" {
  value       = [for h in local.others : h.name if !contains(var.rejoin[*].name, h.name)]
  description = "Hosts on which etcd is masked, so that it never starts with its old data. Once that is away, systemd_unit with state = \"unmasked\" takes the mask back, or join-member-v2."
}

output "proxies" {
  value       = local.proxies
  description = "Proxies that were found, and what each needs now that the members are others."
}

output "inventory_members" {
  value       = concat([var.survivor.name], var.rejoin[*].name)
  description = "What members of the cluster has to be in the inventory from now on."
}
