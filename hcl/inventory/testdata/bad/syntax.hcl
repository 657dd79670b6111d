inventory {
  language = 1
}

cluster "c" {
  members = ["a"
}
