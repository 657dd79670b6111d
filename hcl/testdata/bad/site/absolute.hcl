playbook "s" {
  language = 1

  extends "/playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}
