# A database with its data on a volume of the node; it stays on that node and is never run twice.
job "orders-db" {
  type     = "service"
  priority = 90

  group "postgres" {
    count = 1

    volume "data" {
      type            = "host"
      source          = "orders-db"
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }

    network {
      port "sql" {
        static = 5432
        to     = 5432
      }
    }

    disconnect {
      replace = false
    }

    service {
      name = "orders-db"
      port = "sql"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "postgres" {
      driver = "docker"

      # Time to write everything down.
      kill_timeout = "2m"
      kill_signal  = "SIGINT"

      config {
        image    = "registry.example/postgres:17"
        ports    = ["sql"]
        shm_size = 268435456
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/postgresql/data"
      }

      template {
        destination = "secrets/password.env"
        env         = true
        data        = <<EOF
{{ with nomadVar "nomad/jobs/orders-db" }}
POSTGRES_PASSWORD={{ .password }}
{{ end }}
EOF
      }

      resources {
        cpu    = 1000
        memory = 2048
      }
    }
  }
}
