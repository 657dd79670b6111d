# The same work as replace.sh, replace.yml and bare: a voter at once, and health
# at the end. What the shipped replace-member.hcl does besides (surveys, a
# learner and its promotion, equal data and versions) is measured apart.
playbook "bench-replace" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  endpoints = flatten([for h in cluster.members : h.member.client_urls if h.name != var.failed.name])
}

phase "replace" {
  task "systemd_unit" "stop" {
    on    = var.failed
    unit  = cluster.unit
    state = "stopped"
  }

  task "etcd_members" "before" {
    endpoints = local.endpoints
  }

  task "etcd_member_remove" "old" {
    endpoints = local.endpoints
    id        = etcd::member_for(task.before.members, var.failed).id
  }

  task "move" "old_data" {
    on   = var.failed
    from = cluster.data_dir
    to   = "${cluster.data_dir}.replaced-${run.id}"
  }

  task "directory" "data_dir" {
    on    = var.failed
    path  = cluster.data_dir
    mode  = "0700"
    owner = cluster.user
    group = cluster.group
  }

  task "etcd_member_add" "add" {
    endpoints = local.endpoints
    name      = var.failed.member.name
    peer_urls = var.failed.member.peer_urls
    learner   = false
  }

  task "systemd_dropin" "config" {
    on   = var.failed
    unit = cluster.unit
    name = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = task.add.name
      member                = var.failed.member
      initial_cluster       = task.add.initial_cluster
      initial_cluster_state = task.add.initial_cluster_state
      token                 = cluster.token
    })
  }

  task "systemd_unit" "start" {
    on    = var.failed
    unit  = cluster.unit
    state = "started"
  }

  task "etcd_health" "healthy" {
    endpoints = concat(local.endpoints, var.failed.member.client_urls)

    retry {
      attempts     = 1000
      interval     = "20ms"
      backoff      = 1.5
      max_interval = "200ms"
      until        = self.ok
    }
  }
}
