playbook "x" {
  language = 1
}

task "playbook" "p" {
  source = "called/ring.hcl"
}
