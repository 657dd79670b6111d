playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "cycle-b.hcl" {
    version = "~> 1.0"
  }
}

