playbook "s" {
  language = 1

  extends "" {
    version = "~> 1.0"
  }
}
