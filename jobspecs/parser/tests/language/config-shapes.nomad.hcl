# What a driver sees of its configuration: blocks and objects behind `=` are lists of one map, labels nest, objects
# inside other values stay maps, and `dynamic` is a block like any other.
locals {
  ports = ["http", "admin"]
  mount = { type = "tmpfs", target = "/tmp" }
}

job "config-shapes" {
  group "g" {
    task "t" {
      driver = "docker"

      config {
        image    = "example/app:${1 + 1}"
        ports    = local.ports
        args     = ["-v", 1, true, null, 1.5, "${NOMAD_PORT_http}"]
        whole    = 9007199254740993
        large    = 18446744073709551616
        fraction = 2.50
        negative = -0
        nothing  = null

        labels = {
          team    = "web"
          "a.b/c" = 1
        }

        mounts = [
          { type = "bind", source = "local/x" },
          local.mount,
        ]

        computed = (local.mount)
        chosen   = true ? { a = 1 } : { a = 2 }

        logging {
          type = "json-file"

          config {
            max-size = "10m"
          }
        }

        mount {
          type = "volume"
        }

        mount {
          type = "tmpfs"
        }

        labelled "one" "two" {
          x = 1
        }

        dynamic "ulimit" {
          for_each = local.ports
        }

        empty {}
      }
    }
  }
}
