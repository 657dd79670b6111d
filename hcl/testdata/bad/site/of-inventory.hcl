playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../inventory.hcl" {
    version = "~> 1.0"
  }
}

