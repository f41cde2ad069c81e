{
  "//": "a comment",
  "variable": {
    "image": {"type": "string", "default": "example/web"},
    "zones": {"type": "list(string)", "default": ["a", "b"]}
  },
  "locals": {"tag": "v${1 + 1}"},
  "job": {
    "json-syntax": {
      "type": "service",
      "datacenters": "${var.zones}",
      "meta": {"tag": "${local.tag}", "${upper(\"key\")}": "computed", "node": "${node.class}", "n": 5},
      "constraint": [
        {"attribute": "${attr.kernel.name}", "value": "linux"},
        {"distinct_hosts": true}
      ],
      "group": {
        "web": {
          "count": "${length(var.zones)}",
          "network": {"port": {"http": {"to": 80}, "admin": {"static": "9000"}}},
          "dynamic": {
            "service": {
              "for_each": "${var.zones}",
              "content": {"name": "web-${service.value}", "port": "http", "provider": "nomad"}
            }
          },
          "task": [
            {
              "server": {
                "driver": "docker",
                "config": {"image": "${var.image}:${local.tag}", "labels": {"a": "b"}, "mounts": [{"type": "tmpfs"}]},
                "template": [
                  {"data": "x\n", "destination": "local/a"},
                  {"data": "${NOMAD_TASK_DIR}", "destination": "local/b"}
                ],
                "env": {"A": "${attr.cpu.arch}", "B": true}
              }
            },
            {"log": {"driver": "raw_exec", "lifecycle": {"hook": "poststart", "sidecar": true}}}
          ]
        }
      }
    }
  }
}
