playbook "provision-member" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Let a machine join that does not exist yet: write what it is provisioned with, and wait for it."
}

variable "new" {
  type        = host
  description = "The machine to come, as the inventory describes it: its name, its address, its member. It is not asked for anything before it has joined."
}

variable "directory" {
  type        = string
  description = "The absolute path of a directory on this machine, for the files to provision the new one with."

  validation {
    condition     = startswith(var.directory, "/")
    error_message = "${var.directory} is not an absolute path."
  }
}

variable "etcd_version" {
  type        = string
  default     = null
  nullable    = true
  description = "The version of etcd that the machine shall run, such as 3.5.16. Without it, that of its operating system."
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

variable "arrival_timeout" {
  type        = string
  default     = "1h"
  description = "How long to wait for the machine to be made, to boot and to join. After that the learner is taken out again."
}

variable "health_timeout" {
  type        = string
  default     = "3m"
  description = "How long the new member may take to catch up, and the cluster to be healthy."
}

locals {
  member = var.new.member
  tls    = local.member.server_tls

  # The keys of the section etcd of a Container Linux Config; what is null is left out.
  settings = {
    version                     = var.etcd_version
    name                        = task.add.name
    listen_peer_urls            = join(",", local.member.listen_peer_urls)
    listen_client_urls          = join(",", local.member.listen_client_urls)
    initial_advertise_peer_urls = task.add.initial_advertise_peer_urls
    initial_cluster             = task.add.initial_cluster
    initial_cluster_state       = task.add.initial_cluster_state
    initial_cluster_token       = cluster.token
    advertise_client_urls       = join(",", local.member.client_urls)

    cert_file             = local.tls == null ? null : local.tls.cert_file
    key_file              = local.tls == null ? null : local.tls.key_file
    trusted_ca_file       = local.tls == null ? null : local.tls.ca_file
    client_cert_auth      = local.tls == null ? null : local.tls.client_cert_auth
    peer_cert_file        = local.tls == null ? null : local.tls.peer_cert_file
    peer_key_file         = local.tls == null ? null : local.tls.peer_key_file
    peer_trusted_ca_file  = local.tls == null ? null : local.tls.peer_ca_file
    peer_client_cert_auth = local.tls == null ? null : local.tls.peer_client_cert_auth
  }
}

phase "survey" {
  description = "Whether the cluster can take a member in."

  task "etcd_members" "before" {}

  # A member that joined a moment ago may still be publishing itself.
  task "etcd_health" "before_health" {
    timeout = var.health_timeout

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
    error_message = "Not healthy: ${join(", ", task.before_health.unhealthy)}. A member is added to a healthy cluster only (Q9): replace the failed one first (etcdplay run replace-member)."
  }

  task "assert" "not_a_member" {
    condition     = etcd::member_for(task.before.members, var.new) == null
    error_message = "${var.new.name} is a member already (found by its peer URL)."
  }

  task "assert" "no_less_safe" {
    locked        = true
    condition     = task.before.count != 1 || var.allow_two
    error_message = "With two members the cluster would be less safe than with one: the failure of either would stop it. If a third follows at once, give --var allow_two=true."
  }

  task "assert" "not_too_many" {
    condition     = task.before.count + 1 <= var.most_members
    error_message = "There would be ${task.before.count + 1} members, and most_members is ${var.most_members}."
  }

  task "stat" "directory" {
    on   = localhost
    path = var.directory
  }

  task "assert" "is_directory" {
    condition     = task.directory.is_dir
    error_message = "${var.directory} is not a directory of this machine. Make it first."
  }

  task "assert" "not_in_debians_layout" {
    condition     = cluster.layout == "etcd-member"
    error_message = "Machines with Debian's layout are not provisioned with these files. Install etcd there, and let it join: etcdplay run scale --var new=${var.new.name}."
  }
}

phase "provision" {
  description = "Add the member without a vote, write its configuration from the answer, wait for it."

  # Always a learner: a voter that may never come would count for the quorum from now on.
  task "etcd_member_add" "add" {
    name      = local.member.name
    peer_urls = local.member.peer_urls
    learner   = true
  }

  task "file" "container_linux" {
    on      = localhost
    path    = "${var.directory}/${var.new.name}.clc.yaml"
    content = clct::config(local.settings)
  }

  task "file" "butane" {
    on      = localhost
    path    = "${var.directory}/${var.new.name}.bu"
    content = butane::config(local.settings)
  }

  task "file" "dropin" {
    on      = localhost
    path    = "${var.directory}/${var.new.name}.${cluster.dropin}"
    content = clct::dropin(local.settings)
  }

  task "etcd_members" "arrived" {
    timeout = var.arrival_timeout

    retry {
      attempts     = 1000000
      interval     = "100ms"
      backoff      = 2
      max_interval = "5s"
      until        = anytrue([for m in self.members : m.id == task.add.id && m.started])
    }
  }

  task "etcd_member_promote" "promote" {
    id      = task.add.id
    timeout = var.health_timeout
  }

  rescue {
    # It may have got its vote before the failure.
    task "etcd_member_remove" "undo_add" {
      when            = task.add.id != null
      id              = task.add.id
      even_if_healthy = true
    }
  }
}

phase "prove" {
  description = "Every member healthy, on one version, with the same data."

  task "etcd_health" "proof" {
    endpoints = concat(cluster.endpoints, local.member.client_urls)
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
      error_message = "Not healthy after the machine joined: ${join(", ", self.unhealthy)}."
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

output "member_id" {
  value       = task.add.id
  description = "The ID of the new member, hex."
}

output "files" {
  value       = [task.container_linux.path, task.butane.path, task.dropin.path]
  description = "What the machine can be provisioned with: a Container Linux Config, a Butane file, or the bare drop-in."
}

output "inventory_members" {
  value       = distinct(concat(cluster.members[*].name, [var.new.name]))
  description = "What members of the cluster has to be in the inventory from now on."
}
