playbook "s" {
  language = 1

  extends "../playbooks/replace-member.hcl" {}
}
