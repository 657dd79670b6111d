playbook "x" {
  language = 1
}

task "playbook" "p" {
  source = "called/deep1.hcl"
}
