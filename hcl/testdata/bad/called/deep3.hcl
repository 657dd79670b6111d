playbook "x" {
  language = 1
}

task "playbook" "next" {
  source = "deep4.hcl"
}
