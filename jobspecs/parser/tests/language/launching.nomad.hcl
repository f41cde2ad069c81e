# A job that is launched by the clock and by hand; a task in the job itself becomes a group.
job "launching" {
  type = "batch"

  periodic {
    crons            = ["0 3 * * *", "@daily"]
    prohibit_overlap = true
    time_zone        = "Europe/Berlin"
    enabled          = false
  }

  parameterized {
    payload       = "required"
    meta_required = ["customer"]
    meta_optional = ["colour"]
  }

  group "second" {
    task "t" {
      driver = "raw_exec"

      dispatch_payload {
        file = "input.json"
      }

      config {
        command = "cat"
        args    = ["${NOMAD_TASK_DIR}/input.json"]
      }

      resources {
        network {
          mbits = 10

          port "old" {
            static = 8000
          }
        }
      }
    }
  }

  task "first" {
    driver = "docker"

    config {
      image = "redis:7"

      port_map {
        db = 6379
      }
    }
  }
}
