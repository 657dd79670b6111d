playbook "x" {
  language = 1
}

variable "new" {
  type = host
}

variable "learner" {
  type    = bool
  default = true
}

task "etcd_member_add" "add" {
  name      = var.new.member.name
  peer_urls = var.new.member.peer_urls
  learner   = var.learner
}

output "id" {
  value = task.add.id
}
