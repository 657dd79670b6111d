playbook "s" {
  language = 1
  version  = "1.0.0"

  extends "../playbooks/replace-member.hcl" {
    version = "~> 1.0"
  }
}

phase "ours" {
  task "etcd_members" "again" {}
}

task "etcd_members" "twice" {
  before = task.old
  after  = task.before
}

task "etcd_members" "text" {
  before = "old"
}

task "etcd_members" "deep" {
  before = task.old.id
}

task "etcd_members" "unknown" {
  before = task.strat
}

task "etcd_members" "above" {
  before = task.below
}

task "etcd_members" "below" {
  before = task.old
}

task "etcd_members" "start" {
  before = task.old
}

task "exec" "early" {
  before = task.old
  on     = localhost
  argv   = ["true", task.add.id]
}
