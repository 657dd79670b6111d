task "etcd_members" "m" {}
