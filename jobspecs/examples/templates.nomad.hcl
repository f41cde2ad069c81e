# Configuration rendered from variables and from the catalog, and what happens when it changes.
job "gateway" {
  group "gateway" {
    network {
      port "http" {
        static = 80
        to     = 8080
      }
    }

    service {
      name = "gateway"
      port = "http"
    }

    task "proxy" {
      driver = "docker"

      config {
        image   = "registry.example/nginx:1.27"
        ports   = ["http"]
        volumes = ["local/upstreams.conf:/etc/nginx/conf.d/upstreams.conf"]
      }

      # Read again by the program itself.
      template {
        destination   = "local/upstreams.conf"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<EOF
upstream api {
{{- range nomadService "shop-api" }}
  server {{ .Address }}:{{ .Port }};
{{- else }}
  server 127.0.0.1:9;
{{- end }}
}
EOF
      }

      # Variables of the program: it is started anew when they change.
      template {
        destination = "secrets/tokens.env"
        env         = true
        splay       = "30s"
        data        = <<EOF
{{ with nomadVar "nomad/jobs/gateway" }}TOKEN={{ .token }}{{ end }}
EOF
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
