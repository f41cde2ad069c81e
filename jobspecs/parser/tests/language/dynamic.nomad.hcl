# Blocks made by loops: over lists, sets and maps, with labels, with a named iterator, and inside each other.
locals {
  groups = {
    api = { count = 2, ports = { http = 8080, admin = 0 }, tasks = ["main", "log"] }
    job = { count = 1, ports = {}, tasks = ["run"] }
  }
}

job "dynamic" {
  dynamic "constraint" {
    for_each = ["linux"]

    content {
      attribute = "${attr.kernel.name}"
      value     = constraint.value
    }
  }

  dynamic "group" {
    for_each = local.groups
    labels   = [group.key]

    content {
      count = group.value.count

      dynamic "network" {
        for_each = length(keys(group.value.ports)) > 0 ? [1] : []

        content {
          dynamic "port" {
            for_each = group.value.ports
            iterator = each
            labels   = ["${each.key}"]

            content {
              to = each.value
            }
          }
        }
      }

      dynamic "task" {
        for_each = group.value.tasks
        labels   = ["${group.key}-${task.value}"]

        content {
          driver = "raw_exec"
          leader = task.key == 0

          env {
            GROUP = group.key
            NODE  = "${node.unique.id}"
          }
        }
      }
    }
  }

  dynamic "affinity" {
    for_each = convert(["b", "a"], set(string))

    content {
      attribute = "$${meta.${affinity.key}}"
      value     = affinity.value
    }
  }
}
