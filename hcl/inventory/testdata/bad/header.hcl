inventory "x" {
  langauge = 1
}

inventory {}

x = 1
