inventory {
  language = 1
}

cluster "c" {
  members      = ["a", "a", "bb", "spare"]
  id           = "001F"
  token        = ""
  api          = 4
  scheme       = "htps"
  unit         = "../x.service"
  dropin       = "20-x"
  data_dir     = "/var/lib"
  user         = "x y"
  remove_roots = ["/", "/usr/lib/x", "/data", "/data/etcd.*"]
  endpoints    = []

  tls {
    cert_file = "c.pem"
  }

  auth {
    username      = "root"
    password_env  = "A"
    password_file = "b"
  }
}

cluster "d" {
  members  = []
  unit     = "etcd%i.service"
  data_dir = "/var/lib/../etcd"
  api      = 2.5

  tls {
    ca_file = "ca.pem"
  }

  auth {
    password_env = "a-b"
  }
}

cluster "e" {
  members  = ["b"]
  unit     = "etcd"
  data_dir = "var/lib/etcd"
  scheme   = null
}

cluster "f" {
  members  = ["b"]
  unit     = "etcd.timer"
  data_dir = "/var/lib/etcd "
  token    = "a b"

  auth {
    username = "root"
  }
}

host "a" {
  address = "10.0.0.1"
}

host "b" {
  address = "10.0.0.2"
}

group "g" {
  hosts = ["b", "spares", "b"]
}
