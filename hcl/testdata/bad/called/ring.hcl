playbook "x" {
  language = 1
}

task "playbook" "back" {
  source = "../ring.hcl"
}
