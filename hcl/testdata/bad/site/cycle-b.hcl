playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "cycle.hcl" {
    version = "~> 1.0"
  }
}

