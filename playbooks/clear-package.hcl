playbook "clear-package" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Stop the cluster of one that an etcd package makes when it is installed, and move its data away. Only one that nobody has used is."
}

variable "hosts" {
  type        = list(host)
  description = "The hosts that the package was installed on."

  validation {
    condition     = length(var.hosts) > 0
    error_message = "Name at least one host: --var hosts=node1,node2."
  }
}

phase "survey" {
  description = "Whether nobody has used it."

  task "etcd_host" "found" {
    on_each            = var.hosts
    parallel           = length(var.hosts)
    listen_peer_urls   = target.member.listen_peer_urls
    listen_client_urls = target.member.listen_client_urls
  }

  task "assert" "unused" {
    locked        = true
    condition     = alltrue([for name, r in task.found : r.untouched])
    error_message = "Not the unused cluster of a package, or it cannot be told: ${join(" ", [for name, r in task.found : "${name}: ${r.ready ? "there is nothing" : join("; ", r.why)}." if !r.untouched])} It has to run, to be alone, to call itself localhost, and to have no key, user or lease."
  }
}

phase "clear" {
  description = "Stop it, and keep its data."

  task "systemd_unit" "stop" {
    on_each        = var.hosts
    unit           = cluster.unit
    state          = "stopped"
    allow_downtime = true
  }

  task "move" "data" {
    on_each    = var.hosts
    from       = cluster.data_dir
    to         = "${cluster.data_dir}.package-${run.id}"
    missing_ok = true
  }
}

output "moved_to" {
  value       = { for name, r in task.data : name => r.to }
  description = "Where the data of each host was put."
}
