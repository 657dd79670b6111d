playbook "x" {
  language = 1
}

task "exec" "e" {
  on   = localhost
  argv = ["true", "x"
}
