# A program with helpers: one that prepares, one beside it, one that cleans up.
job "reports" {
  group "reports" {
    network {
      port "http" {
        to = 8000
      }
    }

    service {
      name = "reports"
      port = "http"
    }

    # Runs to its end before the others begin.
    task "migrate" {
      driver = "docker"

      lifecycle {
        hook = "prestart"
      }

      config {
        image   = "registry.example/reports:5"
        command = "migrate"
      }
    }

    # Starts before the main task and stays beside it.
    task "cache" {
      driver = "docker"

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image = "registry.example/valkey:8"
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }

    # When it ends, the helpers end.
    task "app" {
      driver = "docker"
      leader = true

      config {
        image = "registry.example/reports:5"
        ports = ["http"]
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }

    task "goodbye" {
      driver = "docker"

      lifecycle {
        hook = "poststop"
      }

      config {
        image   = "registry.example/reports:5"
        command = "unregister"
      }
    }
  }
}
