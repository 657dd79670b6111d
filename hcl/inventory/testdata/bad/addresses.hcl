inventory {
  language = 1
}

cluster "c" {
  members = ["a0"]
}

host "a0" {
  address = "10.0.0.1"
}

host "a1" {
  address = ""
}

host "a2" {
  address = "10.0.0"
}

host "a3" {
  address = "10.0.0.1:22"
}

host "a4" {
  address = "0.0.0.0"
}

host "a5" {
  address = "[fd00::1]"
}

host "a6" {
  address = "fe80::1%eth0"
}

host "a7" {
  address = "fd00::2"
}

host "a8" {
  address = "224.0.0.1"
}

host "a9" {
  address = "http://10.0.0.9"
}

host "a10" {
  address = "a b"
}

host "a11" {
  address = "-x"
}

host "a12" {
  address = "bücher.example"
}

host "a13" {
  address = "etcd.example.com"
}

host "a14" {
  address = "::"
}

host "b" {}

host "c" {
  address = 7
}

host "d" {
  address = null
}
