# One copy on every Linux node.
job "uptime" {
  type = "system"

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }

  group "uptime" {
    task "print" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "while true; do uptime; sleep 60; done"]
      }

      env {
        NODE = "${node.unique.name}"
      }

      resources {
        cpu    = 10
        memory = 10
      }
    }
  }
}
