inventory {
  language = 1
}

clustr "c" {}

variable "x" {}

member {}

tls {}

cluster "c" {
  members  = ["a"]
  password = "x"
  toke     = "t"

  tls {}

  tls {}

  ath {}

  members {}
}

cluster "c" {
  members = ["a"]
}

cluster {}

host "a" {
  addres = "10.0.0.1"
}

host "a" {
  address = "10.0.0.1"
}

host "localhost" {
  address = "127.0.0.1"
}

group "g" {}

group "g" {
  hosts = []
}
