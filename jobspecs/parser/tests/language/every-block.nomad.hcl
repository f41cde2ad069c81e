# Each block and most attributes of the language once, with values that are not the default.
job "every-block" {
  id          = "every-block-id"
  region      = "north"
  namespace   = "ops"
  type        = "service"
  priority    = 70
  all_at_once = true
  datacenters = ["dc1", "dc2"]
  node_pool   = "gpu"

  meta {
    owner = "ops"
  }

  constraint {
    attribute = attr.kernel.name
    value     = "linux"
  }

  constraint {
    attribute = "${attr.cpu.arch}"
    regexp    = "amd64|arm64"
  }

  constraint {
    distinct_hosts = true
  }

  constraint {
    distinct_property = "${meta.rack}"
    value             = 2
  }

  affinity {
    attribute = "${node.datacenter}"
    value     = "dc1"
    weight    = -30
  }

  affinity {
    attribute        = "${meta.tags}"
    set_contains_any = "ssd,nvme"
  }

  spread {
    attribute = "${node.datacenter}"
    weight    = 80

    target "dc1" {
      percent = 70
    }

    target "dc2" {
      percent = "30"
    }
  }

  update {
    max_parallel      = 2
    health_check      = "task_states"
    min_healthy_time  = "15s"
    healthy_deadline  = "4m"
    progress_deadline = "9m"
    auto_revert       = true
    auto_promote      = true
    canary            = 1
    stagger           = "20s"
  }

  reschedule {
    attempts       = 3
    interval       = "1h"
    delay          = "10s"
    delay_function = "fibonacci"
    max_delay      = "2m"
    unlimited      = false
  }

  migrate {
    max_parallel     = 2
    health_check     = "checks"
    min_healthy_time = "5s"
    healthy_deadline = "1m"
  }

  multiregion {
    strategy {
      max_parallel = 1
      on_failure   = "fail_all"
    }

    region "north" {
      count       = 2
      datacenters = ["n1"]
      node_pool   = "all"

      meta {
        lead = "yes"
      }
    }
  }

  ui {
    description = "Everything at once"

    link {
      label = "Docs"
      url   = "https://docs.example/"
    }
  }

  vault {
    role = "from-job"
  }

  secret "shared" {
    provider = "nomad"
    path     = "shared/db"

    config {
      namespace = "ops"
    }
  }

  group "web" {
    count                        = 3
    shutdown_delay               = "3s"
    max_run_duration             = "1h"
    stop_after_client_disconnect = "5m"
    max_client_disconnect        = "10m"
    prevent_reschedule_on_lost   = true

    meta = {
      "dotted.key" = "works as a map"
      number       = 5
    }

    restart {
      attempts         = 4
      interval         = "10m"
      delay            = "7s"
      mode             = "delay"
      render_templates = true
    }

    disconnect {
      lost_after = "6h"
      replace    = false
      reconcile  = "keep_original"
    }

    ephemeral_disk {
      size    = 500
      sticky  = true
      migrate = true
    }

    consul {
      namespace = "cns"
      cluster   = "main"
      partition = "p"
    }

    scaling {
      min     = 1
      max     = 9
      enabled = false

      policy {
        cooldown = "1m"

        check "load" {
          source = "prometheus"
          query  = "avg(load)"

          strategy "target-value" {
            target = 0.75
          }
        }
      }
    }

    volume "data" {
      type            = "csi"
      source          = "disk"
      read_only       = true
      access_mode     = "multi-node-reader-only"
      attachment_mode = "file-system"
      per_alloc       = true

      mount_options {
        fs_type     = "ext4"
        mount_flags = ["noatime"]
      }
    }

    network {
      mode     = "bridge"
      hostname = "web-${NOMAD_ALLOC_INDEX}"

      port "http" {
        to           = 8080
        host_network = "public"
      }

      port "admin" {
        static           = 9000
        ignore_collision = true
      }

      dns {
        servers  = ["10.0.0.2"]
        searches = ["internal"]
        options  = ["ndots:2"]
      }

      cni {
        args = { nodename = attr.unique.hostname }
      }
    }

    service {
      name                = "web"
      port                = "http"
      provider            = "nomad"
      tags                = ["edge", "v${NOMAD_META_version}"]
      canary_tags         = ["canary"]
      address_mode        = "alloc"
      on_update           = "ignore"
      enable_tag_override = true
      task                = "server"

      meta {
        kind = "http"
      }

      canary_meta {
        kind = "canary"
      }

      tagged_addresses {
        wan = "203.0.113.7"
      }

      weights {
        passing = 3
        warning = 1
      }

      check_restart {
        limit           = 3
        grace           = "30s"
        ignore_warnings = true
      }

      check {
        name                     = "alive"
        type                     = "http"
        path                     = "/health"
        method                   = "POST"
        protocol                 = "https"
        body                     = "{}"
        interval                 = "10s"
        timeout                  = "2s"
        port                     = "admin"
        tls_skip_verify          = true
        tls_server_name          = "web.internal"
        initial_status           = "passing"
        success_before_passing   = 2
        failures_before_critical = 3
        failures_before_warning  = 1

        header {
          Accept = ["text/plain", "text/html"]
        }

        check_restart {
          limit = 5
        }
      }

      identity {
        aud = ["consul.io"]
        ttl = "1h"
      }
    }

    service {
      name = "mesh"
      port = 9001

      connect {
        sidecar_service {
          port                     = "admin"
          disable_default_tcp_check = true
          tags                     = ["side"]

          proxy {
            local_service_port = 9001

            config {
              protocol = "http"
            }

            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9102
                listener_port   = "admin"
              }
            }

            upstreams {
              destination_name = "db"
              local_bind_port  = 5432

              mesh_gateway {
                mode = "local"
              }
            }

            transparent_proxy {
              uid                    = "101"
              outbound_port          = 15001
              exclude_outbound_ports = [443, "8443"]
              no_dns                 = true
            }
          }
        }

        sidecar_task {
          driver       = "docker"
          kill_timeout = "2s"

          env {
            LEVEL = "debug"
          }

          resources {
            cpu = 50
          }
        }
      }
    }

    service {
      name = "gate"

      connect {
        gateway {
          proxy {
            connect_timeout                 = "3s"
            envoy_gateway_no_default_bind   = true
            envoy_dns_discovery_type        = "STRICT_DNS"

            envoy_gateway_bind_addresses "all" {
              address = "0.0.0.0"
              port    = 8443
            }
          }

          ingress {
            tls {
              enabled         = true
              tls_min_version = "TLSv1_2"
              cipher_suites   = ["A", "B"]

              sds {
                cluster_name  = "c"
                cert_resource = "r"
              }
            }

            listener {
              port     = 8443
              protocol = "http"

              service {
                name            = "web"
                hosts           = ["*"]
                max_connections = 10

                request_headers {
                  add {
                    x-from = "gate"
                  }
                  remove = ["x-secret"]
                }
              }
            }
          }

          terminating {
            service {
              name = "legacy"
              sni  = "legacy.internal"
            }
          }

          mesh {}
        }
      }
    }

    task "server" {
      driver         = "docker"
      user           = "nobody"
      leader         = true
      kill_timeout   = "20s"
      kill_signal    = "SIGQUIT"
      shutdown_delay = 1500000000
      kind           = "web"

      config {
        image = "example/web:1"
        ports = ["http"]
      }

      env {
        GREETING = "hello"
        ADDRESS  = "${NOMAD_ADDR_http}"
        WORKERS  = 4
        DEBUG    = true
      }

      meta = {
        tier = "front"
      }

      constraint {
        attribute = "${attr.driver.docker.version}"
        operator  = "semver"
        value     = ">= 20.0"
      }

      resources {
        cpu        = 500
        memory     = 256
        memory_max = 512
        secrets    = 2

        device "nvidia/gpu" {
          count = 2

          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "2 GiB"
          }
        }

        numa {
          affinity = "prefer"
          devices  = ["nvidia/gpu"]
        }
      }

      logs {
        max_files     = 3
        max_file_size = 5
        disabled      = true
      }

      artifact {
        source      = "https://files.example/a.tar.gz"
        destination = "local/a"
        mode        = "file"
        chown       = true

        options {
          checksum = "sha256:0123456789012345678901234567890123456789012345678901234567890123"
        }

        headers {
          Authorization = "Bearer x"
        }
      }

      template {
        destination          = "local/app.conf"
        perms                = "600"
        change_mode          = "script"
        splay                = "0s"
        uid                  = 1000
        gid                  = 1000
        left_delimiter       = "[["
        right_delimiter      = "]]"
        error_on_missing_key = true
        once                 = true

        data = <<-EOH
          listen [[ env "NOMAD_PORT_http" ]];
            indented ${NOMAD_TASK_DIR}
          EOH

        change_script {
          command             = "/bin/reload"
          args                = ["-q"]
          timeout             = "3s"
          fail_on_error       = true
          run_on_first_render = true
        }

        wait {
          min = "2s"
          max = "10s"
        }
      }

      vault {
        policies               = ["old"]
        namespace              = "vns"
        env                    = false
        disable_file           = true
        change_mode            = "signal"
        change_signal          = "SIGHUP"
        allow_token_expiration = true
      }

      volume_mount {
        volume           = "data"
        destination      = "/data"
        read_only        = true
        propagation_mode = "host-to-task"
        selinux_label    = "Z"
      }

      identity {
        env  = true
        file = true
      }

      identity {
        name         = "aws"
        aud          = ["sts"]
        ttl          = "30m"
        change_mode  = "restart"
        filepath     = "secrets/aws.jwt"
        service_name = "web"
      }

      action "flush" {
        command = "/bin/flush"
        args    = ["--all"]
      }

      scaling "mem" {
        max = 1024

        policy {
          cooldown = "5m"
        }
      }

      secret "own" {
        provider = "vault"
        path     = "kv/own"

        env {
          A = "b"
        }
      }
    }

    task "migrate" {
      driver = "raw_exec"

      lifecycle {
        hook    = "prestart"
        sidecar = false
      }

      config {
        command = "true"
      }

      csi_plugin {
        id                     = "plug"
        type                   = "node"
        mount_dir              = "/csi"
        stage_publish_base_dir = "/local/csi"
        health_timeout         = "40s"
      }

      schedule {
        cron {
          start    = "0 8 * * *"
          end      = "0 18 * * *"
          timezone = "UTC"
        }
      }
    }
  }
}
