inventory {
  language = 1
}

cluster "c" {
  members   = ["a"]
  endpoints = ["http://10.0.0.1", "tcp://10.0.0.1:2379", "http://10.0.0.1:2379/x"]
}

host "a" {
  address = "10.0.0.1"

  member {
    name = "a=b"
    peer_urls = [
      "http://10.0.0.1:2380/x",
      "http://10.0.0.1:2380?x=1",
      "http://u:p@10.0.0.1:2380",
      "http://10.0.0.1",
      "http://10.0.0.1:0",
      "http://10.0.0.1:70000",
      "http://0.0.0.0:2380",
      "tcp://10.0.0.1:2380",
      "http://fd00::1:2380",
      "10.0.0.1:2380",
      "http://:2380",
      "http://[fe80::1%25eth0]:2380",
      "http://a_b;c:2380",
    ]
    client_urls        = []
    listen_peer_urls   = ["http://etcd.example.com:2380", "http://localhost:2380", "http://[::]:2380"]
    listen_client_urls = "http://10.0.0.1:2379"
  }
}
