playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

override "start" {
  timeot = "5m"
}
