cluster "c" {
  members = ["a"]
}
