playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "4.hcl" {
    version = "~> 1.0"
  }
}

