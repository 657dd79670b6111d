playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

locals {
  script = "rm ${var.failed.name}"
}

task "etcd_members" "m" {}

task "exec" "a" {
  on    = var.failed
  shell = local.script
}

task "exec" "b" {
  on    = var.failed
  shell = <<-EOT
    test ${task.m.count} = 3
    %{for h in cluster.members~}
    ping ${h.address}
    ping ${shellquote(h.address)}
    %{endfor~}
    %{if var.failed.name == ""}rm ${upper(var.failed.name)}%{endif}
  EOT
}

task "exec" "c" {
  on    = var.failed
  shell = var.failed.name == "x" ? "a" : "b ${join(" ", cluster.endpoints)}"
}
