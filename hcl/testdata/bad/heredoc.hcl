playbook "x" {
  language = 1
}

locals {
  x = <<-EOT
    text
}
