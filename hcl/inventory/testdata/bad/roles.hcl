inventory {
  language = 1
}

cluster "c" {
  members = ["a", "b", "c"]
}

host "a" {
  address = "10.0.0.1"

  member {
    peer_urls = ["http://10.0.0.1:2379"]
  }
}

host "b" {
  address = "10.0.0.2"

  member {
    peer_urls   = ["https://10.0.0.2:2380"]
    client_urls = ["http://10.0.0.2:2380"]
  }
}

host "c" {
  address = "10.0.0.3"

  member {
    peer_urls   = ["http://10.0.0.3:2379", "http://10.0.0.3:2382"]
    client_urls = ["http://10.0.0.3:2380"]
  }
}
