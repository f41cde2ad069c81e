# The same job without a container engine: drover job run -var command=/path/to/hello-web web-raw.nomad.hcl
variable "command" {
  type        = string
  description = "A web server that listens on the port in NOMAD_PORT_http."
  default     = "/usr/local/bin/hello-web"
}

job "web" {
  type = "service"

  group "web" {
    count = 3

    network {
      port "http" {}
    }

    service {
      name = "web"
      port = "http"

      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = var.command
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
