playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

variable "which" {
  type = string
}

task "playbook" "a" {
  source = "called/grow.hcl"
}

task "playbook" "b" {
  source = "called/grow.hcl"
  with = {
    new     = "demo-etcd-2"
    learner = "true"
    lerner  = true
    new     = var.failed
  }
}

task "playbook" "c" {
  source = "called/${var.which}.hcl"
}

task "playbook" "d" {
  source = "called/none.hcl"
}

task "playbook" "e" {
  source = "/etc/passwd"
  with   = { new = var.faild }
}

task "playbook" "f" {
  source = "called/grow.hcl"
  with   = [var.failed]
}

task "playbook" "g" {
  source = "called/grow.hcl"
  wiht   = { new = var.failed }
}

task "playbook" "h" {
  source = "called/grow.hcl"
  with   = { new = var.failed }

  retry {
    attempts = 2
    interval = "1s"
  }
}

output "o" {
  value = task.h.idd
}
