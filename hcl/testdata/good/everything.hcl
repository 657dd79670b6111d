# One of everything that the language has.
playbook "every-thing_2" {
  language         = 1
  required_version = ">= 0.1.0, < 2.0.0"
  version          = "1.2.3"
  description      = "One of everything."
}

variable "spec" {
  type = object({
    name  = string
    port  = optional(number, 2379)
    hosts = optional(list(host), [])
    pair  = optional(tuple([string, number]))
    tags  = optional(set(string), [])
  })
  default     = { name = "x" }
  description = "An object with defaults."
  nullable    = true

  validation {
    condition     = var.spec == null ? true : length(var.spec.name) < 64 && local.dir != cluster.name
    error_message = "The name ${var.spec.name} is too long for ${cluster.name}."
  }
}

variable "token" {
  type      = string
  sensitive = true
  default   = "s3cr3t"
}

variable "rounds" {
  type    = map(number)
  default = { one = 1, two = 2 }
}

locals {
  dir    = "${cluster.data_dir}/x"
  first  = cluster.members[0]
  names  = cluster.members[*].name
  urls   = { for h in cluster.members : h.name => h.member.peer_urls }
  big    = [for i, h in cluster.members : "${i}-${h.name}" if i > 0 && h.name != local.first.name]
  text   = <<-EOT
    %{for n in local.names~}
    member ${n}
    %{endfor~}
    $HOME and $${literal} and 100%
  EOT
  script = "rm -rf ${shellquote(local.dir)} # ${length(local.names)}"
  count  = task.before.count + 1
}

task "etcd_members" "before" {
  endpoints = coalesce(null, cluster.endpoints)
  via       = local.first
  timeout   = "30s"
}

phase "work" {
  description = "Everything else."
  when        = task.before.count > 0

  task "systemd_unit" "stop" {
    on_each  = [for h in cluster.members : h if !contains(local.big, h.name)]
    parallel = 2
    become   = true
    unit     = cluster.unit
    state    = "stopped"
    when     = target.name != "localhost"

    precondition {
      condition     = target.address != ""
      error_message = "${target.name} has no address."
    }

    postcondition {
      condition     = self.active_state == "inactive" || !self.changed
      error_message = "${target.name} is ${self.active_state}."
    }
  }

  task "stat" "each" {
    for_each = var.rounds
    on       = host["demo-etcd-1"]
    path     = "${local.dir}/${each.key}-${each.value}"

    retry {
      attempts     = each.value
      interval     = "1s"
      backoff      = 1.5
      max_interval = "10s"
      until        = self.exists
    }
  }

  task "exec" "page" {
    on    = localhost
    argv  = ["/usr/bin/page", "--size", tostring(local.count)]
    stdin = var.token
    env   = { TOKEN = var.token }
  }

  task "exec" "script" {
    on      = group.spares[0]
    shell   = local.script
    creates = local.dir
  }

  task "assert" "fine" {
    locked        = true
    description   = "Whether all is well."
    condition     = alltrue([for k, r in task.each : r.exists]) && task.stop["demo-etcd-1"].status == "ok"
    error_message = "Not at ${run.started_at} by ${run.user} in ${path.playbook}: ${local.text} ${jsonencode(local.urls)}"
  }

  task "playbook" "called" {
    for_each = ["a", "b"]
    source   = "called.hcl"
    with     = { name = each.value, secret = var.token }
  }

  rescue {
    task "systemd_journal" "why" {
      on   = local.first
      unit = cluster.unit
    }

    task "assert" "told" {
      condition     = error.message != "" && length(task.why.lines) > 0 && task.each["one"].exists != null
      error_message = "${error.task} failed: ${error.message}"
    }
  }

  always {
    task "etcd_health" "after" {
      require = "none"
    }
  }
}

output "called" {
  value = task.called["a"].name
}

output "secret" {
  value     = task.called["b"].secret
  sensitive = true
}

output "after" {
  value       = task.after.ok
  description = "Whether all are healthy."
}

# bind:
