playbook "x" {
  language = 1
  version  = "1.0.0"
}

variable "failed" {
  type = host
}

task "systemd_unit" "a" {
  on    = host.demo-etcd-22
  unit  = "x"
  state = "strated"
}

# bind:
