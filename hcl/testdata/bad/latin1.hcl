playbook "x" {
  language = 1
}

# café
