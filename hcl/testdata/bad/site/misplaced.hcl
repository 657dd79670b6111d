playbook "s" {
  language = 1
}

extends "x.hcl" {
  version = "~> 1.0"
}

phase "p" {
  drop "x" {
    reason = "y"
  }
}
