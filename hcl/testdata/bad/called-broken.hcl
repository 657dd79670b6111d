playbook "x" {
  language = 1
}

task "playbook" "a" {
  source = "called/broken.hcl"
}

task "playbook" "b" {
  source = "called/broken.hcl"
}

task "playbook" "c" {
  source = "called/syntax.hcl"
}
