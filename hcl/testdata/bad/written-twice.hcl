playbook "written-twice" {
  language = 1
}

variable "where" {
  type        = host
  description = "Where."
}

variable "debian" {
  type        = bool
  description = "Which layout it has."
}

task "file" "first" {
  on      = var.where
  path    = "/etc/motd"
  content = "one"
}

task "file" "elsewhere" {
  on      = host.demo-etcd-1
  path    = "/etc/motd"
  content = "another host"
}

task "file" "perhaps" {
  on      = var.where
  when    = var.debian
  path    = "/etc/motd"
  content = "only perhaps"
}

task "upload" "second" {
  on   = var.where
  from = "/srv/motd"
  path = "/etc/motd"
}

task "systemd_dropin" "a" {
  on      = var.where
  unit    = "etcd-member.service"
  name    = "30-a.conf"
  content = "[Service]\n"
}

task "systemd_dropin" "b" {
  on      = var.where
  unit    = "etcd-member.service"
  name    = "30-b.conf"
  content = "[Service]\n"
}

task "systemd_dropin" "again" {
  on      = var.where
  unit    = "etcd-member.service"
  name    = "30-a.conf"
  content = "[Service]\nNice=5\n"
}

# bind: var:where=demo-etcd-1 var:debian=true
