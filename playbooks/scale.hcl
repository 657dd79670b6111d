playbook "scale" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Grow a healthy cluster by one or more members, one at a time."
}

variable "new" {
  type        = list(host)
  description = "The hosts that become members, in this order. They are in the inventory, and etcd is installed on them."

  validation {
    condition     = length(var.new) > 0
    error_message = "Name at least one host: --var new=node4,node5."
  }

  validation {
    condition     = length(distinct(var.new[*].name)) == length(var.new)
    error_message = "A host is named twice: ${join(", ", var.new[*].name)}."
  }
}

variable "as_learner" {
  type        = bool
  default     = true
  description = "Join without a vote, and get it once the log has caught up (etcd 3.4 and later). With false, each addition itself raises the quorum."
}

variable "set_old_data_aside" {
  type        = bool
  default     = false
  description = "Move data directories of an earlier life of the hosts away. Without it, such a directory is an error."
}

variable "allow_two" {
  type        = bool
  default     = false
  description = "End with two members, where the failure of either stops the cluster."
}

variable "most_members" {
  type        = number
  default     = 7
  description = "End with no more members than this; every one more slows each write down."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long each new member may take to catch up, and the cluster to be healthy."
}

locals {
  size = task.before.count + length(var.new)
}

phase "survey" {
  description = "What is there, and whether it gets safer."

  task "etcd_members" "before" {}

  task "etcd_health" "before_health" {}

  task "assert" "has_quorum" {
    locked        = true
    condition     = task.before_health.quorum
    error_message = "There is no quorum (Q1): ${join(", ", task.before_health.unhealthy)} do not serve, and no member can be added or removed. Bring members back, or go on with restore-v3 or, without a snapshot, recover-quorum-v3."
  }

  task "assert" "all_healthy" {
    locked        = true
    condition     = task.before_health.ok
    error_message = "Not healthy: ${join(", ", task.before_health.unhealthy)}. A member is added to a healthy cluster only (Q9): replace the failed one first (etcdplay run replace-member)."
  }

  task "assert" "none_is_member" {
    condition     = alltrue([for h in var.new : etcd::member_for(task.before.members, h) == null])
    error_message = "Members already, found by their peer URLs: ${join(", ", [for h in var.new : h.name if etcd::member_for(task.before.members, h) != null])}."
  }

  task "assert" "no_less_safe" {
    locked        = true
    condition     = etcd::tolerance(local.size) >= etcd::tolerance(task.before.count) && (local.size != 2 || var.allow_two)
    error_message = "With ${local.size} members the cluster would be less safe than with ${task.before.count}: the failure of either would stop it. Name two hosts, or give --var allow_two=true."
  }

  task "assert" "not_too_many" {
    condition     = local.size <= var.most_members
    error_message = "There would be ${local.size} members, and most_members is ${var.most_members}."
  }

  # This is also the proof, before anything is changed, that every new host answers.
  task "stat" "old_data" {
    on_each = var.new
    path    = "${cluster.data_dir}/member"
  }

  task "assert" "no_old_data" {
    condition     = var.set_old_data_aside || !anytrue([for name, r in task.old_data : r.exists])
    error_message = "There is data of earlier members in ${cluster.data_dir} of ${join(", ", [for name, r in task.old_data : name if r.exists])}. With --var set_old_data_aside=true it is moved away."
  }

  # With https, a bad certificate would be noticed only by peers that refuse the new member, in their logs.
  task "etcd_certificates" "certificates" {
    on_each = var.new
    member  = target.member
    peers   = flatten(task.before.members[*].peer_urls)
  }

  task "assert" "certificates_fit" {
    condition     = alltrue([for name, r in task.certificates : r.ok])
    error_message = "With their certificates hosts cannot join: ${join("; ", flatten([for name, r in task.certificates : [for p in r.problems : "${name}: ${p}"]]))}."
  }
}

phase "grow" {
  description = "One host after the other; each must be a healthy voter before the next begins."

  task "playbook" "join" {
    for_each = var.new
    source   = "join-member.hcl"
    with = {
      new                = each.value
      as_learner         = var.as_learner
      set_old_data_aside = var.set_old_data_aside
      health_timeout     = var.health_timeout
    }
  }
}

phase "prove" {
  description = "Every member healthy, on one version, with the same data."

  task "etcd_health" "proof" {
    endpoints = concat(cluster.endpoints, flatten(var.new[*].member.client_urls))
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
      error_message = "Not healthy after growing: ${join(", ", self.unhealthy)}."
    }

    postcondition {
      condition     = self.hash_equal
      error_message = "The members hold different data (HashKV). Take the newest member out of service, and do not write."
    }

    postcondition {
      condition     = length(self.versions) == 1
      error_message = "The members run different versions: ${join(", ", self.versions)}. Finish the upgrade."
    }
  }
}

output "members" {
  value       = local.size
  description = "How many members the cluster has now."
}

output "tolerates" {
  value       = etcd::tolerance(local.size)
  description = "How many members may fail now without the cluster stopping."
}

output "member_ids" {
  value       = { for name, r in task.join : name => r.member_id }
  description = "The IDs of the new members, hex, by host."
}

output "inventory_members" {
  value       = distinct(concat(cluster.members[*].name, var.new[*].name))
  description = "What members of the cluster has to be in the inventory from now on."
}
