playbook "bootstrap" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.0.0"
  description      = "Make a new cluster on the hosts that the inventory names as its members."
}

variable "method" {
  type        = string
  default     = "static"
  description = "How the members find each other at their first start: \"static\", by the addresses of the inventory, \"srv\", by records in DNS, or \"discovery\", through a registry that another etcd keeps. Later starts do not need it."

  validation {
    condition     = contains(["static", "srv", "discovery"], var.method)
    error_message = "There is no method ${var.method}. Write static, srv or discovery."
  }

  validation {
    condition     = (var.method == "discovery") == (length([for given in [var.discovery_endpoints != null, var.discovery_service != null, var.discovery_url != null] : given if given]) == 1)
    error_message = "The method discovery takes exactly one of discovery_endpoints, discovery_service and discovery_url, and no other method takes any."
  }
}

variable "srv_domain" {
  type        = string
  default     = null
  nullable    = true
  description = "The domain of the records _etcd-server._tcp (with TLS: _etcd-server-ssl._tcp) that name the members' peer URLs."

  validation {
    condition     = (var.method == "srv") == (var.srv_domain != null)
    error_message = "The method srv takes srv_domain, and no other method does."
  }
}

variable "srv_name" {
  type        = string
  default     = null
  nullable    = true
  description = "The suffix of the service in the records' names, where one domain has several clusters."
}

variable "discovery_endpoints" {
  type        = list(string)
  default     = null
  nullable    = true
  description = "Client URLs of the etcd that keeps the registry: one of API 3 for members from 3.6 on, one with --enable-v2 for older ones."
}

variable "discovery_token" {
  type        = string
  default     = null
  nullable    = true
  description = "The token to register under at discovery_endpoints. Without it, a new one."
}

variable "discovery_service" {
  type        = string
  default     = null
  nullable    = true
  description = "The URL of a discovery service for etcd up to 3.6, which gives a new token at /new."
}

variable "discovery_url" {
  type        = string
  default     = null
  nullable    = true
  description = "The URL of a token that such a service gave before."
}

variable "discovery_ca_file" {
  type        = string
  default     = null
  nullable    = true
  description = "With https at discovery_endpoints of API 3: the authorities that the registry's certificate is checked against, a file on every host, as etcd sees it. Without it, those that the host trusts, as always with API 2."
}

variable "discovery_cert_file" {
  type        = string
  default     = null
  nullable    = true
  description = "The certificate that the members show to such a registry, a file on every host. etcdplay shows it the operator's, of the inventory."
}

variable "discovery_key_file" {
  type        = string
  default     = null
  nullable    = true
  description = "The key of discovery_cert_file, a file on every host. It is not read."

  validation {
    condition     = (var.discovery_key_file == null) == (var.discovery_cert_file == null)
    error_message = "discovery_cert_file and discovery_key_file go together: give both, or neither."
  }
}

variable "token" {
  type        = string
  default     = null
  nullable    = true
  description = "The initial cluster token. Without it, the inventory's with the ID of this run, which no other cluster has."
}

variable "etcd" {
  type        = string
  default     = null
  nullable    = true
  description = "The path of the etcd program on the hosts, where the unit does not tell which etcd it runs."
}

variable "most_members" {
  type        = number
  default     = 7
  description = "Make no larger cluster than this; every member more slows each write down."
}

variable "form_timeout" {
  type        = string
  default     = "3m"
  description = "How long the members may take to find each other and to be healthy."
}

locals {
  size            = length(cluster.members)
  names           = cluster.members[*].name
  initial_cluster = etcd::initial_cluster(cluster.members)
  token           = coalesce(var.token, "${cluster.token}-${run.id}")
  others          = [for h in values(host) : h if !contains(concat(local.names, ["localhost"]), h.name)]

  version = distinct([for name, r in task.hosts : r.version])[0]

  discovery_files = compact([var.discovery_ca_file, var.discovery_cert_file, var.discovery_key_file])
  reaches         = compact(concat(coalesce(var.discovery_endpoints, []), [var.discovery_service, var.discovery_url]))

  # etcd 3.6 has both ways of discovery, and 3.7 no longer the first.
  discovery_api = var.discovery_endpoints != null && version_matches(local.version, ">= 3.6.0") ? 3 : 2
  found_by      = var.method == "discovery" ? task.registry.flags : local.named
  named = { for flag, value in {
    initial-cluster    = var.method == "static" ? local.initial_cluster : null
    discovery-srv      = var.srv_domain
    discovery-srv-name = var.srv_name
  } : flag => value if value != null }

  # Of a launch that was refused because somebody else was there first, nothing is cleared up.
  left_alone = "Left alone: "

  # The folder above the data directory.
  above = regex("^(.*)/[^/]+$", cluster.data_dir)[0]
}

phase "survey" {
  description = "What is there: nothing may be, on any host."

  task "assert" "not_too_many" {
    condition     = local.size <= var.most_members
    error_message = "There would be ${local.size} members, and most_members is ${var.most_members}."
  }

  task "assert" "names_differ" {
    locked        = true
    condition     = length(distinct(cluster.members[*].member.name)) == local.size && length(distinct(flatten(cluster.members[*].member.peer_urls))) == length(flatten(cluster.members[*].member.peer_urls))
    error_message = "Two members have the same name or the same peer URL: ${local.initial_cluster}. Give each host of the inventory its own."
  }

  task "etcd_host" "hosts" {
    on_each            = cluster.members
    parallel           = local.size
    listen_peer_urls   = target.member.listen_peer_urls
    listen_client_urls = target.member.listen_client_urls
    etcd               = var.etcd
    reaches            = local.reaches
    needs              = local.discovery_files
  }

  # A cluster that has lost these hosts may live on elsewhere.
  task "etcd_peers" "elsewhere" {
    urls = flatten(local.others[*].member.peer_urls)
  }

  task "assert" "no_cluster_elsewhere" {
    locked        = true
    condition     = length(task.elsewhere.clusters) == 0
    error_message = "There is a cluster already: ${join("; ", task.elsewhere.answering)}. A second one with its addresses would tear it apart (Q17). If it is another cluster, take its hosts out of this inventory."
  }

  task "assert" "nothing_there" {
    locked        = true
    condition     = alltrue([for name, r in task.hosts : r.ready])
    error_message = "No cluster is made over what is there (Q17). ${join(" ", [for name, r in task.hosts : "${name}: ${join("; ", r.why)}.${r.untouched ? " It is the unused cluster of an etcd package: etcdplay run clear-package --var hosts=${name} moves it away." : ""}" if !r.ready])}"
  }

  task "assert" "one_version" {
    condition     = length(distinct([for name, r in task.hosts : r.version])) == 1
    error_message = "The hosts have different versions of etcd: ${join(", ", [for name, r in task.hosts : "${name} ${r.version}"])}. Install one."
  }

  # Where etcd's user could swap what is in a folder, root makes and moves nothing. Debian's package leaves it so.
  task "stat" "above_data" {
    on_each = cluster.members
    when    = cluster.layout == "debian"
    path    = local.above

    postcondition {
      condition     = self.owner != "etcd"
      error_message = "The folder above ${cluster.data_dir} belongs to etcd, so nothing in it can be made safely. Once, on ${target.name}: chown root: ${local.above} && chmod 0755 ${local.above}."
    }
  }

  # With https, a bad certificate would be noticed only by peers that refuse the member, in their logs.
  task "etcd_certificates" "certificates" {
    on_each = cluster.members
    member  = target.member
    peers   = flatten(cluster.members[*].member.peer_urls)
    domain  = var.srv_domain

    postcondition {
      condition     = self.ok
      error_message = "With its certificates ${target.name} cannot be a member: ${join("; ", self.problems)}."
    }
  }

  task "etcd_srv" "records" {
    on_each   = cluster.members
    when      = var.method == "srv"
    domain    = var.srv_domain
    service   = var.srv_name
    peer_urls = flatten(cluster.members[*].member.peer_urls)
  }

  task "assert" "records_fit" {
    when          = var.method == "srv"
    condition     = alltrue([for name, r in task.records : r.fit])
    error_message = "The records in DNS are not what the inventory says. ${join(" ", [for name, r in task.records : "${name}: ${join("; ", r.why)}." if !r.fit])} etcd takes peer URLs as the records have them: write the names of the records into peer_urls of the inventory, or mend the records."
  }

  task "assert" "discovery_fits" {
    when          = var.method == "discovery"
    condition     = local.discovery_api == 3 || version_matches(local.version, "< 3.7.0")
    error_message = "etcd ${local.version} has no discovery by URL any more. Name the client URLs of an etcd that keeps the registry: discovery_endpoints, instead of ${var.discovery_url != null ? "discovery_url" : "discovery_service"}."
  }

  task "assert" "discovery_certificates_fit" {
    condition     = local.discovery_api == 3 || length(local.discovery_files) == 0
    error_message = "Certificates for discovery (${join(", ", local.discovery_files)}) go with discovery_endpoints, and with etcd from 3.6 on. Older ones know but the authorities that their host trusts: add the registry's there, and leave discovery_ca_file, discovery_cert_file and discovery_key_file out."
  }
}

phase "form" {
  description = "Configure all members, start them side by side, and wait until they have found each other."

  # A moment before anything is changed, and again if the run was interrupted.
  task "etcd_host" "clean" {
    on_each            = cluster.members
    parallel           = local.size
    listen_peer_urls   = target.member.listen_peer_urls
    listen_client_urls = target.member.listen_client_urls
    etcd               = var.etcd
    reaches            = local.reaches
    needs              = local.discovery_files
  }

  task "assert" "all_clean" {
    locked        = true
    condition     = alltrue([for name, r in task.clean : r.ready])
    error_message = "Somebody was here meanwhile. ${join(" ", [for name, r in task.clean : "${name}: ${join("; ", r.why)}." if !r.ready])}"
  }

  task "etcd_discovery" "registry" {
    when      = var.method == "discovery"
    on        = cluster.members[0]
    api       = local.discovery_api
    size      = local.size
    endpoints = var.discovery_endpoints
    token     = var.discovery_token
    service   = var.discovery_service
    url       = var.discovery_url
    ca_file   = var.discovery_ca_file
    cert_file = var.discovery_cert_file
    key_file  = var.discovery_key_file
  }

  task "directory" "data_dir" {
    on_each = cluster.members
    path    = cluster.data_dir
    mode    = "0700"
    owner   = cluster.user
    group   = cluster.group
  }

  # Flags in a drop-in, or in Debian's layout variables in a file; never both.
  task "systemd_dropin" "begin_new" {
    on_each = cluster.members
    when    = cluster.layout == "etcd-member"
    unit    = cluster.unit
    name    = cluster.dropin
    content = templatefile("templates/etcd-member-new.conf.tmpl", {
      name     = target.member.name
      member   = target.member
      found_by = local.found_by
      token    = local.token
    })
  }

  task "file" "begin_new_variables" {
    on_each = cluster.members
    when    = cluster.layout == "debian"
    path    = cluster.env_file
    content = templatefile("templates/etcd-new.default.tmpl", {
      name     = target.member.name
      member   = target.member
      data_dir = cluster.data_dir
      found_by = local.found_by
      token    = local.token
    })
  }

  # A flag that this release of etcd does not know would only be found out by a start that fails.
  task "etcd_flags" "flags" {
    on_each = cluster.members
    unit    = cluster.unit
  }

  # A member says that it is ready once there is a quorum, so none is waited for.
  task "systemd_unit" "launch" {
    on_each  = cluster.members
    parallel = local.size
    unit     = cluster.unit
    state    = "started"
    wait     = false

    precondition {
      condition     = task.clean[target.name].ready
      error_message = "${local.left_alone}${target.name} is not as it was when this run configured it. ${join("; ", task.clean[target.name].why)}."
    }
  }

  task "systemd_unit" "up" {
    on_each  = cluster.members
    parallel = local.size
    unit     = cluster.unit
    state    = "started"
    timeout  = var.form_timeout
  }

  task "etcd_health" "formed" {
    hash    = true
    timeout = var.form_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok && self.hash_equal
    }

    postcondition {
      condition     = self.ok && self.hash_equal
      error_message = "The members have not formed one healthy cluster; not healthy: ${join(", ", self.unhealthy)}."
    }
  }

  task "etcd_members" "members" {
    postcondition {
      condition     = self.initial_cluster == local.initial_cluster
      error_message = "The cluster has the members ${self.initial_cluster}, and they were to be ${local.initial_cluster}."
    }
  }

  rescue {
    task "systemd_journal" "why" {
      on_each = cluster.members
      when    = contains(keys(task.launch), target.name)
      unit    = cluster.unit
      lines   = 50
    }

    task "assert" "token_is_spent" {
      when          = var.method == "discovery" && task.registry.token != null && length(task.launch) > 0
      condition     = task.registry.token == null
      error_message = "Members may have registered at the token ${task.registry.token}: it is used up. ${var.discovery_token == null && var.discovery_url == null ? "The next attempt makes a new one." : "Begin a new run with a new one."}"
    }

    # If it has a quorum, and somebody has written into it, it is his.
    task "etcd_health" "in_use" {
      when = length(task.launch) > 0
    }

    task "systemd_unit" "stop_all" {
      on_each        = cluster.members
      parallel       = local.size
      when           = contains(keys(task.launch), target.name) && task.launch[target.name].status != "skipped" && !startswith(error.message, local.left_alone) && coalesce(task.in_use.revision, 0) <= 1
      unit           = cluster.unit
      state          = "stopped"
      allow_downtime = true
    }

    # Half-made data would keep the next attempt from beginning. Each start has an ID of its own.
    task "move" "half_made" {
      on_each    = cluster.members
      when       = task.stop_all[target.name].status == "ok" && task.stop_all[target.name].invocation_id != ""
      from       = cluster.data_dir
      to         = "${cluster.data_dir}.half-made-${run.id}-${substr(task.stop_all[target.name].invocation_id, 0, 8)}"
      missing_ok = true
    }
  }
}

phase "settle" {
  description = "Take \"new\" out of every configuration: a member that loses its data must not begin another cluster."

  task "systemd_dropin" "existing" {
    on_each = cluster.members
    when    = cluster.layout == "etcd-member"
    unit    = cluster.unit
    name    = cluster.dropin
    content = templatefile("templates/etcd-member.conf.tmpl", {
      name                  = target.member.name
      member                = target.member
      initial_cluster       = local.initial_cluster
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }

  task "file" "existing_variables" {
    on_each = cluster.members
    when    = cluster.layout == "debian"
    path    = cluster.env_file
    content = templatefile("templates/etcd.default.tmpl", {
      name                  = target.member.name
      member                = target.member
      data_dir              = cluster.data_dir
      initial_cluster       = local.initial_cluster
      initial_cluster_state = "existing"
      token                 = local.token
    })
  }
}

phase "prove" {
  description = "Every member healthy, on one version, with the same data."

  task "etcd_health" "proof" {
    hash    = true
    timeout = var.form_timeout

    retry {
      attempts     = 1000
      interval     = "50ms"
      backoff      = 2
      max_interval = "2s"
      until        = self.ok && self.hash_equal
    }

    postcondition {
      condition     = self.ok && length(self.healthy) == local.size
      error_message = "Not healthy: ${join(", ", self.unhealthy)}."
    }

    postcondition {
      condition     = self.hash_equal
      error_message = "The members hold different data (HashKV). Do not write."
    }

    postcondition {
      condition     = length(self.versions) == 1
      error_message = "The members run different versions: ${join(", ", self.versions)}."
    }
  }
}

output "token" {
  value       = local.token
  description = "The initial cluster token, as the members have it."
}

output "members" {
  value       = local.size
  description = "How many members the cluster has."
}

output "tolerates" {
  value       = etcd::tolerance(local.size)
  description = "How many members may fail without the cluster stopping."
}

output "endpoints" {
  value       = cluster.endpoints
  description = "The client URLs of the members."
}
