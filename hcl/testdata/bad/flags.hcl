playbook "x" {
  language = 1
}

variable "v" {
  type      = string
  sensitive = "yes"
  nullable  = var.x
}

task "assert" "a" {
  locked        = 1
  description   = "a ${var.v}"
  condition     = var.v != ""
  error_message = "x"
}
