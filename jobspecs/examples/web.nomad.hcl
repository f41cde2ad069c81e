# Three copies of a small web server, found under web.service.drover.
job "web" {
  # A service runs for ever; a batch job runs to its end.
  type = "service"

  # The tasks of a group run together on one node.
  group "web" {
    count = 3

    network {
      # drover chooses a free port of the node for each copy; inside the container it is 8080.
      port "http" {
        to = 8080
      }
    }

    # The name that others find healthy copies under.
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
      driver = "docker"

      config {
        # The image that ./quickstart makes; any other web server will do.
        image = "drover-hello:local"
        ports = ["http"]
      }

      # What the node sets aside: CPU in MHz, memory in MB.
      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
