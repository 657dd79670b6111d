# What is written in a hurry, or as another tool has it.
playbook "hurried" {
  language = 1
}

variable "port" {
  type     = int
  required = true
}

variable "host" {
  type    = host
  default = host["demo-etcd-1"]
}

variable "untyped" {
}

locals = {
  a = 1
}

phase "largest" {
  on = host["demo-etcd-1"]

  task "exec" "größe" {
    on      = demo-etcd-1
    command = "true"
  }

  task "exec" "twice" {
    on   = localhost
    argv = ["/bin/true"]
    env  = { A = "1", A = "2" }
    when = True
  }

  task "exec" "text" {
    on   = localhost
    argv = ["/bin/echo", "a" + cluster.name]
  }

  task "exec" "number" {
    on   = localhost
    argv = ["/bin/echo", "${length(cluster.members)}"]
    dir  = etcd-member.service
    when = env.HOME == "/root"
  }

  task "etcd_health" "h" {
    lifecycle {
    }

    retry {
      attempts = 3
    }
  }
}

phase "rescue_only" {
  rescue {
    task "etcd_members" "m" {
    }
  }
}

rescue {
}

validation {
}

host "a" {
}

moved {
}
