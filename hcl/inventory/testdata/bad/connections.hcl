inventory {
  language = 1
}

connection "shh" {}

connection {}

connection "ssh" {
  user                = "a b"
  port                = 0
  identity_files      = ["~root/x", ""]
  known_hosts         = " x"
  host_key_policy     = "no"
  proxy_jump          = "a;b"
  become              = "su"
  become_password     = "x"
  become_password_env = "A B"
  connect_timeout     = "5"
  keepalive           = "-1s"
  dir                 = "/x"
}

connection "local" {}

cluster "c" {
  members = ["a"]
}

host "a" {
  address = "10.0.0.1"

  connection "sandbox" {}

  connection "local" {}
}

host "b" {
  address = "10.0.0.2"

  connection "ssh" {
    port                = 22.5
    become              = "none"
    become_password_env = "X"
  }
}
