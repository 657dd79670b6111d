playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

variable "token" {
  type      = string
  sensitive = true
}

task "directory" "a" {
  on   = var.failed
  path = "/srv/${var.token}"
}

task "exec" "b" {
  on    = var.failed
  shell = "echo ${shellquote(var.token)}"
}

task "systemd_unit" "c" {
  on    = host[var.token]
  unit  = var.token
  state = "started"
}

task "assert" "d" {
  condition     = var.token != ""
  error_message = "The token is ${var.token}."
}

output "token" {
  value = var.token
}

output "hidden" {
  value     = var.token
  sensitive = true
}
