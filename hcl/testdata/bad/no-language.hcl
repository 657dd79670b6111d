playbook "x" {
  version = "1.0.0"
}
