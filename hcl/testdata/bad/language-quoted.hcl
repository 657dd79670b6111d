playbook "x" {
  language = "1"
}
