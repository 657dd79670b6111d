inventory {
  language = 1
}

connection "ssh" {
  user           = "core"
  identity_files = ["~/.ssh/id_ed25519"]
  known_hosts    = "~/.ssh/known_hosts"
  become         = "sudo"
}

cluster "fra1" {
  token    = "fra1-etcd-token"
  unit     = "etcd-member.service"
  dropin   = "20-clct-etcd-member.conf"
  data_dir = "/var/lib/etcd"
  members  = ["fra1-etcd-1", "fra1-etcd-2", "fra1-etcd-3"]
}

host "fra1-etcd-1" {
  address = "10.240.0.1"
}

host "fra1-etcd-2" {
  address = "10.240.0.2"
}

host "fra1-etcd-3" {
  address = "10.240.0.3"
}
