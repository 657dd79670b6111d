playbook "x" {
  language = 1
}

task "playbook" "p" {
  source = "self-call.hcl"
}
