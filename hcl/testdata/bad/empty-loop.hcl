playbook "x" {
  language = 1
}

task "systemd_unit" "stop" {
  on_each = []
  unit    = cluster.unit
  state   = "stopped"
}

task "assert" "a" {
  for_each      = []
  condition     = each.value != ""
  error_message = "No."
}
