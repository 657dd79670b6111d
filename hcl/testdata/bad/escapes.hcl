playbook "escapes" {
  language = 1
}

task "exec" "e" {
  on    = localhost
  argv  = ["/bin/echo", "\d", "%{date}"]
  stdin = <<-EOT
    text
}
