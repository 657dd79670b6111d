playbook "x" {
  language = 1
}

task "etcd_members" "before" {}

output "a" {
  value = task.befor.count
}

output "b" {
  value = task.nothing
}

output "c" {
  value = task
}
