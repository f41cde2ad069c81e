# A program that is fetched before it starts, checked against its sum.
variable "mirror" {
  type    = string
  default = "https://downloads.example"
}

job "indexer" {
  type = "batch"

  group "indexer" {
    task "index" {
      driver = "exec"

      artifact {
        source      = "${var.mirror}/indexer/1.8/indexer-linux-${attr.cpu.arch}.tar.gz"
        destination = "local/bin"

        options {
          checksum = "sha256:3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea"
        }
      }

      artifact {
        source      = "${var.mirror}/words/en.txt"
        destination = "local/words.txt"
        mode        = "file"

        headers {
          User-Agent = "drover"
        }
      }

      config {
        command = "local/bin/indexer"
        args    = ["--words", "local/words.txt"]
      }

      resources {
        cores  = 1
        memory = 512
      }
    }
  }
}
