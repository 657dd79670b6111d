playbook "called" {
  language = 1
}

variable "name" {
  type = string
}

variable "secret" {
  type    = string
  default = null

  nullable = true
}

task "confirm" "sure" {
  message = "Go on with ${var.name}?"
}

output "name" {
  value = "${var.name}, said ${task.sure.answered_by}"
}

output "secret" {
  value     = var.secret
  sensitive = true
}
