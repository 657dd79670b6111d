playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "chain/2.hcl" {
    version = "~> 1.0"
  }
}

