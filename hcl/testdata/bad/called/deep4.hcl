playbook "x" {
  language = 1
}

task "playbook" "next" {
  source = "deep5.hcl"
}
