playbook "x" {
  language = 1
}

task "exec" "e" {
  on            = localhost
  argv          = ["true"]
  count         = 3
  notify        = "x"
  tags          = ["a"]
  delegate_to   = "x"
  ignore_errors = true
  changed_when  = false
  failed_when   = false
  retries       = 3
  loop          = [1]
  if            = true
  sudo          = true

  dynamic "x" {
  }

  provisioner "y" {
  }
}

resource "a" "b" {}

module "c" {}

stage "d" {}

import {}
