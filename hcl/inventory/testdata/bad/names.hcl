inventory {
  language = 1
}

host "a b" {
  address = "10.0.0.1"
}

host "a;b" {
  address = "10.0.0.2"
}

host "$(x)" {
  address = "10.0.0.3"
}

host "-a" {
  address = "10.0.0.4"
}

host "a\nb" {
  address = "10.0.0.5"
}

host "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
  address = "10.0.0.6"
}

host "bücher" {
  address = "10.0.0.7"
}

host "ok." {
  address = "10.0.0.8"
}

host "good.name-1" {
  address = "10.0.0.9"
}

cluster "c d" {
  members = ["good.name-1"]
}

cluster "c" {
  members = ["good.name-1"]
}
