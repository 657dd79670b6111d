faild = "demo-etcd-2"
failed = "demo-etcd-9"
even_if_healthy = "no"
health_timeout = var.x

x {
}
