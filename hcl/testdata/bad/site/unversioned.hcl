playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "mid/unversioned.hcl" {
    version = "~> 1.0"
  }
}

