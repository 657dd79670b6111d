playbook "x" {
  language = 1
}

playbook "y" {
  language = 1
}
