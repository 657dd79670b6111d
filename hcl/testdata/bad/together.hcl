# What only shows when the arguments of a task are looked at together, and values
# that no argument can hold.
playbook "together" {
  language = 1
}

task "exec" "neither" {
  on = localhost
}

task "exec" "both" {
  on    = localhost
  argv  = ["/bin/true"]
  shell = "true"
}

task "exec" "fraction" {
  on            = localhost
  argv          = ["/bin/true"]
  success_codes = [1.5]
}

task "exec" "large" {
  on            = localhost
  argv          = ["/bin/true"]
  success_codes = [99999999999999999999]
}

task "exec" "null" {
  on   = localhost
  argv = ["/bin/echo", null]
  env  = { A = null }
}

task "etcd_members" "api" {
  api = 2.5
}

task "systemd_dropin" "name" {
  on      = localhost
  unit    = "a.service"
  name    = "a"
  content = "x"
}

task "move" "into" {
  on   = localhost
  from = "/a"
  to   = "/a/b"
}
