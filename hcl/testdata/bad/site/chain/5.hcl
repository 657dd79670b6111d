playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "6.hcl" {
    version = "~> 1.0"
  }
}

