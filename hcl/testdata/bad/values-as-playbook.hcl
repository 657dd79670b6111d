failed = "demo-etcd-2"
