# Every night at half past two, one backup; never two at a time.
job "backup" {
  type = "batch"

  periodic {
    crons            = ["30 2 * * *"]
    time_zone        = "Europe/Berlin"
    prohibit_overlap = true
  }

  group "backup" {
    max_run_duration = "2h"

    restart {
      attempts = 1
      interval = "24h"
      delay    = "1m"
      mode     = "fail"
    }

    reschedule {
      attempts       = 2
      interval       = "12h"
      delay          = "10m"
      delay_function = "exponential"
      max_delay      = "1h"
      unlimited      = false
    }

    task "dump" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args = [
          "-ec",
          <<-EOF
            target="$NOMAD_ALLOC_DIR/data/dump-$(date +%F).tar.gz"
            tar -czf "$target" -C "$SOURCE" .
            ls -l "$target"
          EOF
        ]
      }

      env {
        SOURCE = "/srv/data"
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
