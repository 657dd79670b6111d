playbook "language-zero" {
  language = 0
}
