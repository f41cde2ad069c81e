# A web service that tries a new version on one copy before all others follow.
variable "version" {
  type        = string
  description = "Tag of the image to run."
  default     = "2.4.1"

  validation {
    condition     = var.version != "latest"
    error_message = "Name a version: what \"latest\" is changes under a running job."
  }
}

job "storefront" {
  type = "service"

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }

  # Copies go to different racks as far as there are racks.
  spread {
    attribute = "${meta.rack}"
  }

  update {
    max_parallel      = 2
    canary            = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "2m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "storefront" {
    count = 6

    # Connections end before the program does.
    shutdown_delay = "5s"

    network {
      port "http" {
        to = 8080
      }
    }

    restart {
      attempts = 3
      interval = "10m"
      delay    = "10s"
      mode     = "fail"
    }

    service {
      name        = "storefront"
      port        = "http"
      tags        = ["v${var.version}"]
      canary_tags = ["canary"]

      check {
        name     = "ready"
        type     = "http"
        path     = "/ready"
        interval = "5s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "30s"
        }
      }
    }

    task "server" {
      driver = "docker"

      config {
        image = "registry.example/storefront:${var.version}"
        ports = ["http"]
      }

      env {
        RELEASE = var.version
        NODE    = "${node.unique.name}"
      }

      resources {
        cpu        = 300
        memory     = 256
        memory_max = 512
      }
    }
  }
}
