# One plain program that says hello; it needs no container engine.
job "hello" {
  # A service runs for ever; a batch job runs to its end.
  type = "service"

  # The tasks of a group run together on one node.
  group "hello" {
    count = 1

    task "say" {
      # raw_exec runs a program as it is, with the rights of the agent.
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "while true; do echo \"$GREETING from $NOMAD_ALLOC_NAME\"; sleep 5; done"]
      }

      env {
        GREETING = "hello"
      }

      # What the node sets aside: CPU in MHz, memory in MB.
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
