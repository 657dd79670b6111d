playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

override "joined" {
  timeout = "5m"

  retry {
    attempts = 3
    interval = "1s"
    until    = self.ok
  }
}

presets {
  health_timeout = "5m"
}

variable "unused" {
  type    = string
  default = "x"
}
