inventory {
  language = 2
}
