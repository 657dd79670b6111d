playbook "x" {
  language = 1
}

variable "failed" {
  type = host
}

task "exec" "a" {
  on            = var.failed
  argv          = "true"
  env           = ["A=b"]
  success_codes = ["0"]
  creates       = ["/x"]
}

task "etcd_member_add" "b" {
  name      = null
  peer_urls = [["http://10.0.0.1:2380"]]
}

task "etcd_members" "c" {
  via       = "demo-etcd-1"
  api       = "3"
  endpoints = "http://10.0.0.1:2379"
}
