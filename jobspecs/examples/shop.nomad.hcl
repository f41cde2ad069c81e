# Two groups that find each other by name, with what they share written once.
variable "replicas" {
  type    = map(number)
  default = { api = 3, worker = 2 }
}

locals {
  image = "registry.example/shop:${local.tag}"
  tag   = "2025.11"

  common = {
    LOG_LEVEL = "info"
    QUEUE     = "redis://queue.service.drover:6379"
  }

  ports = {
    http    = 8080
    metrics = 9090
  }
}

job "shop" {
  datacenters = ["dc1", "dc2"]

  meta {
    owner = "team-shop"
  }

  group "api" {
    count = var.replicas["api"]

    network {
      dynamic "port" {
        for_each = local.ports
        labels   = [port.key]

        content {
          to = port.value
        }
      }
    }

    service {
      name = "shop-api"
      port = "http"
      tags = [for name, number in local.ports : "${name}-${number}"]

      check {
        type     = "http"
        path     = "/healthz"
        interval = "10s"
        timeout  = "2s"

        header {
          X-Check = ["drover"]
        }
      }
    }

    task "api" {
      driver = "docker"

      config {
        image = local.image
        args  = ["serve"]
        ports = keys(local.ports)
      }

      env = merge(local.common, {
        ROLE = "api"
      })

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }

  group "worker" {
    count = var.replicas["worker"]

    affinity {
      attribute = "${node.class}"
      value     = "batch"
      weight    = 60
    }

    ephemeral_disk {
      size = 1000
    }

    task "worker" {
      driver = "docker"

      config {
        image = local.image
        args  = ["work"]
      }

      env = merge(local.common, {
        ROLE = "worker"
      })

      resources {
        cpu    = 400
        memory = 512
      }
    }
  }
}
