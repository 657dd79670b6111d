playbook "s" {
  language = 1

  extends "../playbooks/replace-member.hcl" {
    version = "one"
    path    = "x"
  }

  extends "../playbooks/scale.hcl" {
    version = "~> 1.0"
  }
}
