playbook "operator-in" {
  language = 1
}

task "assert" "a" {
  condition     = "a" in ["a"]
  error_message = "no"
}
