playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

override "start" {
}

override "stop" {
  before  = task.old
  unit    = "etcd.service"
  state   = "halted"
  timeout = "5"
  on_each = cluster.members
}

override "stop" {
  unit = "etcd.service"
}

override "old" {
  id = null

  retry {
    attempts = 3
    interval = "1s"
  }

  precondition {
    condition     = local.old.id == 3
    error_message = "No."
  }
}

override "before" "add" {
  timeout = "5m"
}

override "config" {
  content = templatefile("templates/etcd-member.conf.tmpl", {})
}

task "exec" "ours" {
  after = task.start
  on    = localhost
  argv  = ["true"]
}

override "ours" {
  timeout = "5m"
}

override "joined" {
  endpoints = task.joined.healthy
  when      = task.undo_add.id != null
}
