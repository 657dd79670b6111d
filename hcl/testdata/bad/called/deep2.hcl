playbook "x" {
  language = 1
}

task "playbook" "next" {
  source = "deep3.hcl"
}
