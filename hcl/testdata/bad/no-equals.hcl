playbook "no-equals" {
  language = 1
}

task "exec" "e" {
  on localhost
  argv = ["/bin/true"]
}
