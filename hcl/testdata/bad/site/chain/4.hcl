playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "5.hcl" {
    version = "~> 1.0"
  }
}

