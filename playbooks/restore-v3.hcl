playbook "restore-v3" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Put a cluster restored from a snapshot in the place of one that is lost."
}

variable "snapshot" {
  type        = string
  default     = null
  nullable    = true
  description = "The snapshot, an absolute path: on this machine, or with snapshot_on on that host. Without it, one is taken from a member that still runs."
}

variable "snapshot_on" {
  type        = host
  default     = null
  nullable    = true
  description = "The host that has the snapshot. Without it, this machine."
}

variable "snapshot_from_data_dir" {
  type        = bool
  default     = false
  description = "The snapshot is a copied member/snap/db file, which has no checksum. Its pages are looked at; its content nobody can prove."
}

variable "lost" {
  type        = list(host)
  default     = []
  description = "Hosts of members that are gone for good. All the others have to answer, and are stopped."

  validation {
    condition     = alltrue([for h in var.lost : contains(cluster.members[*].name, h.name)])
    error_message = "Not a member of cluster ${cluster.name}: ${join(", ", [for h in var.lost : h.name if !contains(cluster.members[*].name, h.name)])}."
  }
}

variable "hosts" {
  type        = list(host)
  default     = null
  nullable    = true
  description = "The hosts that the restored cluster runs on, of those of the inventory's members. Without them, all that are not lost."
}

variable "grow" {
  type        = bool
  default     = false
  description = "Restore on the first of the hosts only, and let the others join it one after the other. Without it, all are restored at once from the same snapshot, which is faster."
}

variable "even_if_healthy" {
  type        = bool
  default     = false
  description = "Restore although the cluster has a quorum, and lose what it has."
}

variable "quarantine" {
  type        = bool
  default     = false
  description = "Keep clients out until the end: etcd serves them on quarantine_port until all is proved, and is then restarted, one member after the other."
}

variable "quarantine_port" {
  type        = number
  default     = 23790
  description = "The port that no client knows."
}

variable "revision_bump" {
  type        = number
  default     = 0
  description = "Raise the revision by so much and tell watchers that what lies before is gone, so that no client sees it go back. 1000000000 is a week at 1,500 writes a second. Needed where Kubernetes, or any other watcher, lives on."
}

variable "form_timeout" {
  type        = string
  default     = "5m"
  description = "How long the restored members may take to find each other and to be healthy."
}

locals {
  lost      = var.lost[*].name
  reachable = [for h in cluster.members : h if !contains(local.lost, h.name)]
  hosts     = coalesce(var.hosts, local.reachable)

  # Restored from the snapshot, and joining afterwards.
  restored = var.grow ? slice(local.hosts, 0, 1) : local.hosts
  joining  = var.grow ? slice(local.hosts, 1, length(local.hosts)) : slice(local.hosts, 0, 0)

  initial_cluster = etcd::initial_cluster(local.restored)
  token           = "${cluster.token}-${run.id}"
  file            = "${cluster.data_dir}.snapshot-${run.id}.db"
  new_data        = "${cluster.data_dir}.restored-${run.id}"
  old_data        = "${cluster.data_dir}.before-${run.id}"

  # The member to take a snapshot of, and the host that has the snapshot; null for this machine.
  saver  = var.snapshot == null ? [for h in local.reachable : h if contains(task.before.running, h.name)] : []
  source = var.snapshot == null ? local.saver[0].name : var.snapshot_on == null ? null : coalesce(var.snapshot_on, localhost).name

  # Revisions that are known to have been, and how many of them the snapshot lacks.
  known    = max(task.before.revision, [for name, d in task.data : d.revision + max(d.ahead, 0)]...)
  revision = coalesce(task.offered_here.revision, task.offered_there.revision, task.save.revision)
  lacks    = max(local.known - local.revision, 0)
  sure     = task.before.quorum ? "replace the living cluster" : local.known == 0 ? "lose what nobody can count" : "lose ${local.lacks} revisions"
  stake    = task.before.quorum ? "The cluster serves. All that is written after revision ${local.revision} of the snapshot will be lost." : local.known == 0 ? "Nobody can tell how much was written after revision ${local.revision} of the snapshot; it will be lost." : "The highest revision found is ${local.known}, and the snapshot ends at ${local.revision}: ${local.lacks} revisions will be lost."

  endpoints = var.quarantine ? [for h in local.restored : "${cluster.scheme}://${h.address}:${var.quarantine_port}"] : flatten(local.restored[*].member.client_urls)

  # The folder above the data directory.
  above = regex("^(.*)/[^/]+$", cluster.data_dir)[0]
}

phase "evidence" {
  description = "What is left, and what the snapshot would bring back. Nothing is changed."

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
    condition     = !task.before.quorum || var.even_if_healthy
    error_message = "The cluster has a quorum (Q12): ${join(", ", task.before.healthy)} are healthy. To mend it, replace the members that are down (replace-member). To go back to the snapshot all the same: --var even_if_healthy=true."
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

  task "assert" "hosts_of_members" {
    condition     = length(local.hosts) > 0 && alltrue([for h in local.hosts : contains(local.reachable[*].name, h.name)]) && length(distinct(local.hosts[*].name)) == length(local.hosts)
    error_message = "The restored cluster runs on hosts of the inventory's members that are not lost, each once. Given are: ${join(", ", local.hosts[*].name)}."
  }

  task "assert" "log_in_data_dir" {
    condition     = length(task.before.wal_dirs) == 0
    error_message = "Their etcd keeps its log outside the data directory (--wal-dir): ${join(", ", task.before.wal_dirs)}. What is restored has it inside. Take that setting out of the unit first."
  }

  task "etcd_data_dir" "data" {
    on_each  = local.reachable
    parallel = length(local.reachable)
  }

  task "assert" "can_be_renamed" {
    condition     = !anytrue([for name, d in task.data : d.mount])
    error_message = "${cluster.data_dir} is a mount point, which cannot be renamed, on ${join(", ", [for name, d in task.data : name if d.mount])}. Mount the file system one level up, and make the data directory a directory on it."
  }

  # With https, a bad certificate would be noticed only by peers that refuse the member, in their logs.
  task "etcd_certificates" "certificates" {
    on_each  = local.hosts
    parallel = length(local.hosts)
    member   = target.member
  }

  task "assert" "certificates_fit" {
    condition     = alltrue([for name, r in task.certificates : r.ok])
    error_message = "With their certificates hosts cannot run the restored cluster: ${join("; ", flatten([for name, r in task.certificates : [for p in r.problems : "${name}: ${p}"]]))}."
  }

  task "etcd_snapshot_status" "offered_here" {
    when            = var.snapshot != null && var.snapshot_on == null
    path            = coalesce(var.snapshot, local.file)
    server_version  = task.before.version == "" ? null : task.before.version
    skip_hash_check = var.snapshot_from_data_dir
  }

  task "etcd_snapshot_status" "offered_there" {
    when            = var.snapshot != null && var.snapshot_on != null
    on              = coalesce(var.snapshot_on, localhost)
    path            = coalesce(var.snapshot, local.file)
    server_version  = task.before.version == "" ? null : task.before.version
    skip_hash_check = var.snapshot_from_data_dir
  }

  task "assert" "somebody_to_save" {
    condition     = var.snapshot != null || length(task.before.running) > 0
    error_message = "No member runs that a snapshot could be taken of. Give one with --var snapshot=/PATH; if there is none, recover-quorum-v3 goes on with the data of a member."
  }
}

phase "prepare" {
  description = "Restore beside the data directories, while all is as it was."

  task "etcd_snapshot_save" "save" {
    when     = var.snapshot == null
    on       = var.snapshot == null ? local.saver[0] : localhost
    endpoint = var.snapshot == null ? local.saver[0].member.client_urls[0] : cluster.endpoints[0]
    path     = local.file
  }

  task "upload" "send" {
    on_each   = local.restored
    parallel  = length(local.restored)
    when      = target.name != local.source || var.snapshot != null
    from      = coalesce(var.snapshot, local.file)
    from_host = local.source
    path      = local.file
    sha256    = coalesce(task.offered_here.sha256, task.offered_there.sha256, task.save.sha256)
    mode      = "0600"
  }

  # A genuine etcd starts with it, on loopback only and under a token of its own, before anything depends on it.
  task "etcd_snapshot_trial" "trial" {
    on              = local.restored[0]
    path            = local.file
    server_version  = task.before.version == "" ? null : task.before.version
    skip_hash_check = var.snapshot_from_data_dir
  }

  # Each host proves its copy, page by page, by restoring it.
  task "etcd_snapshot_restore" "restore" {
    on_each               = local.restored
    parallel              = length(local.restored)
    snapshot              = local.file
    data_dir              = local.new_data
    name                  = target.member.name
    peer_urls             = target.member.peer_urls
    initial_cluster       = local.initial_cluster
    initial_cluster_token = local.token
    revision_bump         = var.revision_bump
    mark_compacted        = var.revision_bump > 0
    server_version        = task.before.version == "" ? null : task.before.version
    skip_hash_check       = var.snapshot_from_data_dir
    timeout               = "2h"
  }

  # What was sent has become data directories everywhere; the snapshot stays where it came from.
  task "remove" "sent" {
    on_each  = local.restored
    parallel = length(local.restored)
    when     = target.name != local.source || var.snapshot != null
    path     = local.file
  }

  task "remove" "tried" {
    on   = local.restored[0]
    when = local.restored[0].name != local.source || var.snapshot != null
    path = "${local.file}.trial.json"
  }
}

phase "agree" {
  task "confirm" "sure" {
    message = "${local.stake} Etcd is stopped on ${join(", ", local.reachable[*].name)}${length(local.lost) > 0 ? ", and ${join(", ", local.lost)} must never come back with the old data; what only they had is lost, and nobody can tell how much" : ""}. The old data stays as ${local.old_data}."
    typed   = local.sure
  }
}

phase "replace" {
  description = "Stop every member for good, then put the restored data in the place of the old."

  task "systemd_unit" "halt" {
    on_each        = local.reachable
    parallel       = length(local.reachable)
    unit           = cluster.unit
    state          = "masked"
    allow_downtime = true
  }

  task "etcd_remains" "still" {
    lost = local.lost
  }

  task "assert" "nothing_runs" {
    locked        = true
    condition     = length(task.still.running) == 0 && length(task.still.answering) == 0 && length(task.still.unreachable) == 0
    error_message = "Members of the old cluster are not all stopped (Q12): ${join(", ", concat(task.still.running, task.still.answering, task.still.unreachable))}. No data was touched, and those that ran are started again."
  }

  task "etcd_data_swap" "swap" {
    on_each         = local.restored
    restored        = local.new_data
    aside           = local.old_data
    initial_cluster = local.initial_cluster
    lost            = local.lost
    endpoints       = var.quarantine ? local.endpoints : null
  }

  # Where a member will join, and where none will run any more, the old data must not be found either.
  task "move" "others" {
    on_each    = local.reachable
    when       = !contains(local.restored[*].name, target.name)
    from       = cluster.data_dir
    to         = local.old_data
    missing_ok = true
  }

  rescue {
    # As long as no data was touched the old cluster is what there is, and may go on.
    task "systemd_unit" "release" {
      on_each  = local.reachable
      parallel = length(local.reachable)
      when     = length(task.swap) == 0
      unit     = cluster.unit
      state    = "unmasked"
    }

    task "systemd_unit" "go_on" {
      on_each  = local.reachable
      parallel = length(local.reachable)
      when     = length(task.swap) == 0 && contains(task.before.running, target.name)
      unit     = cluster.unit
      state    = "started"
      wait     = false
    }
  }
}

phase "start" {
  description = "Configure and start all restored members side by side."

  # Flags in a drop-in, or in Debian's layout variables in a file; never both.
  task "systemd_dropin" "config" {
    on_each  = local.restored
    parallel = length(local.restored)
    when     = cluster.layout == "etcd-member"
    unit     = cluster.unit
    name     = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = target.member.name
      member                = var.quarantine ? merge(target.member, { client_urls = ["${cluster.scheme}://${target.address}:${var.quarantine_port}"], listen_client_urls = ["${cluster.scheme}://${target.address}:${var.quarantine_port}"] }) : target.member
      initial_cluster       = local.initial_cluster
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }

  task "file" "variables" {
    on_each  = local.restored
    parallel = length(local.restored)
    when     = cluster.layout == "debian"
    path     = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = target.member.name
      member                = var.quarantine ? merge(target.member, { client_urls = ["${cluster.scheme}://${target.address}:${var.quarantine_port}"], listen_client_urls = ["${cluster.scheme}://${target.address}:${var.quarantine_port}"] }) : target.member
      data_dir              = cluster.data_dir
      initial_cluster       = local.initial_cluster
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }

  task "etcd_flags" "flags" {
    on_each  = local.restored
    parallel = length(local.restored)
    unit     = cluster.unit
  }

  task "systemd_unit" "release_restored" {
    on_each  = local.restored
    parallel = length(local.restored)
    unit     = cluster.unit
    state    = "unmasked"
  }

  # A member says that it is ready once there is a quorum, so none is waited for.
  task "systemd_unit" "launch" {
    on_each  = local.restored
    parallel = length(local.restored)
    unit     = cluster.unit
    state    = "started"
    wait     = false
  }

  task "systemd_unit" "up" {
    on_each  = local.restored
    parallel = length(local.restored)
    unit     = cluster.unit
    state    = "started"
    timeout  = var.form_timeout
  }

  task "etcd_health" "formed" {
    endpoints = local.endpoints
    hash      = true
    timeout   = var.form_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok && self.hash_equal
    }

    postcondition {
      condition     = self.ok && self.hash_equal && length(self.healthy) == length(local.restored)
      error_message = "The restored members have not formed one healthy cluster; not healthy: ${join(", ", self.unhealthy)}."
    }
  }
}

phase "grow" {
  description = "Let the other hosts join, one after the other."
  when        = var.grow

  task "systemd_unit" "release_joining" {
    on_each = local.joining
    unit    = cluster.unit
    state   = "unmasked"
  }

  task "playbook" "join" {
    for_each = local.joining
    source   = "join-member.hcl"
    with = {
      new             = each.value
      endpoints       = local.endpoints
      token           = local.token
      health_timeout  = var.form_timeout
      quarantine_port = var.quarantine ? var.quarantine_port : null
    }
  }
}

phase "open" {
  description = "Let the clients in, one member after the other."
  when        = var.quarantine

  task "systemd_dropin" "open" {
    on_each = local.hosts
    when    = cluster.layout == "etcd-member"
    unit    = cluster.unit
    name    = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = target.member.name
      member                = target.member
      initial_cluster       = etcd::initial_cluster(local.hosts)
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }

  task "file" "open_variables" {
    on_each  = local.hosts
    parallel = length(local.hosts)
    when     = cluster.layout == "debian"
    path     = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = target.member.name
      member                = target.member
      data_dir              = cluster.data_dir
      initial_cluster       = etcd::initial_cluster(local.hosts)
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }

  # The members are asked at their quarantine's address until each is restarted, so the arithmetic cannot see them all.
  task "systemd_unit" "reopen" {
    on_each        = local.hosts
    unit           = cluster.unit
    state          = "restarted"
    allow_downtime = true
    timeout        = var.form_timeout
  }
}

phase "prove" {
  description = "Every member healthy, with the same data, and nothing left of the old cluster."

  task "etcd_health" "proof" {
    endpoints = flatten(local.hosts[*].member.client_urls)
    hash      = true
    timeout   = var.form_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok && self.hash_equal
    }

    postcondition {
      condition     = self.ok && length(self.healthy) == length(local.hosts)
      error_message = "Not healthy after the restore: ${join(", ", self.unhealthy)}."
    }

    postcondition {
      condition     = self.hash_equal
      error_message = "The members hold different data (HashKV). Do not write."
    }
  }

  task "etcd_remains" "after" {
    lost = local.lost
  }

  task "assert" "none_came_back" {
    condition     = length(task.after.answering) == 0
    error_message = "The restored cluster is healthy, and a member of the old one has come back on ${join(", ", task.after.answering)}. It cannot join, since the cluster has another ID, but clients that know its address see the old data: stop it, mask it, and move its data directory away."
  }

  # What was seen is of this moment: a run that goes on looks at all of it again.
  rescue {
    task "systemd_journal" "why" {
      on_each  = local.hosts
      parallel = length(local.hosts)
      unit     = cluster.unit
      lines    = 20
    }
  }
}

output "revision" {
  value       = task.restore[local.restored[0].name].revision
  description = "The revision that the restored cluster began with."
}

output "lost_revisions" {
  value       = local.known == 0 ? null : local.lacks
  description = "How many revisions are known to be lost; null if nobody can tell."
}

output "cluster_id" {
  value       = task.restore[local.restored[0].name].cluster_id
  description = "The ID of the restored cluster, hex. The old one's members have another, and cannot join."
}

output "token" {
  value       = local.token
  description = "The initial cluster token from now on. Put it, and the cluster's ID if it is there, into the inventory."
}

output "old_data" {
  value       = local.old_data
  description = "Where the old data is, on each host."
}

output "inventory_members" {
  value       = local.hosts[*].name
  description = "What members of the cluster has to be in the inventory from now on."
}
