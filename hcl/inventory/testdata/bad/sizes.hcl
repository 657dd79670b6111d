inventory {
  language = 1
}

cluster "two" {
  members = ["h1", "h2"]
}

cluster "nine" {
  members = ["h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11"]
}

host "h1" {
  address = "10.0.0.1"
}

host "h2" {
  address = "10.0.0.2"
}

host "h3" {
  address = "10.0.0.3"
}

host "h4" {
  address = "10.0.0.4"
}

host "h5" {
  address = "10.0.0.5"
}

host "h6" {
  address = "10.0.0.6"
}

host "h7" {
  address = "10.0.0.7"
}

host "h8" {
  address = "10.0.0.8"
}

host "h9" {
  address = "10.0.0.9"
}

host "h10" {
  address = "10.0.0.10"
}

host "h11" {
  address = "10.0.0.11"
}
