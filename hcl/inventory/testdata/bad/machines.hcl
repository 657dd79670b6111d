inventory {
  language = 1
}

connection "ssh" {}

cluster "c" {
  members = ["a", "b", "c", "d", "e"]
}

host "a" {
  address = "10.0.0.1"
}

host "b" {
  address = "10.0.0.1"
}

host "c" {
  address = "10.0.0.1"

  connection "ssh" {
    port = 2222
  }

  member {
    name      = "a"
    peer_urls = ["http://10.0.0.3:2380"]
  }
}

host "d" {
  address = "10.0.0.4"

  connection "local" {}

  member {
    peer_urls = ["http://10.0.0.9:2380", "http://10.0.0.3:2380", "http://10.0.0.9:2380"]
  }
}

host "e" {
  address = "10.0.0.5"

  connection "local" {}
}
