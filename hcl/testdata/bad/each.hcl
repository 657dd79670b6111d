playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  l = each.value
}

task "systemd_unit" "a" {
  on    = target
  unit  = "a.service"
  state = each.key
  when  = self.changed
}

task "systemd_unit" "b" {
  on_each = [each.value]
  unit    = "a.service"
  state   = each.key
}

task "assert" "c" {
  condition     = error.message == ""
  error_message = "${target.name}"
}

task "etcd_health" "d" {
  retry {
    attempts = self.ok ? 1 : 2
    interval = "1s"
    until    = self.okay
  }
}
