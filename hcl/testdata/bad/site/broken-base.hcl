playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "mid/broken.hcl" {
    version = "~> 1.0"
  }
}

