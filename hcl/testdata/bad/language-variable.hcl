playbook "x" {
  language = var.l
}
