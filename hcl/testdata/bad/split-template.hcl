playbook "split-template" {
  language = 1
}

variable "names" {
  type        = list(string)
  description = "Whom to greet."
}

task "assert" "quoted" {
  condition     = length(var.names) > 0
  error_message = "There are ${length(
    var.names
  )} names."
}

task "assert" "heredoc" {
  condition     = length(var.names) > 0
  error_message = <<-EOT
    Nobody of ${join(
      "${", "}${" "}",
      var.names)} is here, nor of
    ${join(", ", [
      for n in var.names : "old ${n}"
    ])}.
    %{for n in var.names~}
    ${n}
    %{endfor~}
  EOT
}
