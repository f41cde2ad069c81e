# Four runs of one program; a failed run is tried again where it is.
job "sum" {
  type = "batch"

  group "workers" {
    count = 4

    restart {
      attempts = 2
      delay    = "5s"
      interval = "10m"
      mode     = "fail"
    }

    task "add" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "expr $NUMBER + $NOMAD_ALLOC_INDEX"]
      }

      env {
        NUMBER = "40"
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
