playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

task "directory" "a" {
  on    = var.failed
  path  = "relative/x"
  mode  = "644"
  owner = null
}

task "directory" "b" {
  on   = var.failed
  path = "/srv/../etc"
}

task "download" "c" {
  on     = var.failed
  path   = "/"
  url    = "ftp://example.com"
  sha256 = "abc"
}

task "systemd_unit" "d" {
  on    = var.failed
  unit  = "../x.service"
  state = "reloaded"
}

task "etcd_member_remove" "e" {
  id = "0xff"
}

task "systemd_dropin" "f" {
  on   = var.failed
  unit = "a.service"
  name = "a/b.conf"
}
