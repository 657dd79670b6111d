playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "none.hcl" {
    version = "~> 1.0"
  }
}

