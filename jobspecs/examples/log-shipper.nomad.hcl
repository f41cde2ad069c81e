# One log shipper on every Linux node; it reads the host's logs and sends them on.
job "log-shipper" {
  type     = "system"
  priority = 80

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }

  group "shipper" {
    network {
      port "metrics" {
        static = 9598
        to     = 9598
      }
    }

    service {
      name = "log-shipper"
      port = "metrics"

      check {
        type     = "tcp"
        interval = "15s"
        timeout  = "3s"
      }
    }

    task "vector" {
      driver = "docker"
      user   = "root"

      kill_timeout = "20s"

      config {
        image = "registry.example/vector:0.41"
        args  = ["--config", "/etc/vector/host.yaml"]
        ports = ["metrics"]

        mount {
          type     = "bind"
          source   = "/var/log"
          target   = "/host/log"
          readonly = true
        }

        logging {
          type = "json-file"
          config {
            max-size = "5m"
            max-file = "2"
          }
        }
      }

      env {
        HOST = "${attr.unique.hostname}"
        SINK = "http://logs.service.drover:8686"
      }

      resources {
        cpu    = 100
        memory = 128
      }

      logs {
        max_files     = 2
        max_file_size = 5
      }
    }
  }
}
