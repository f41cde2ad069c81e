# A job that runs once for each dispatch: drover job dispatch -meta bucket=photos thumbnails picture.jpg
job "thumbnails" {
  type = "batch"

  parameterized {
    payload       = "required"
    meta_required = ["bucket"]
    meta_optional = ["width"]
  }

  meta {
    width = "320"
  }

  group "resize" {
    task "resize" {
      driver = "docker"

      config {
        image   = "registry.example/imagetool:7"
        command = "resize"
        args    = ["--width", "${NOMAD_META_width}", "--to", "${NOMAD_META_bucket}", "${NOMAD_TASK_DIR}/picture"]
      }

      dispatch_payload {
        file = "picture"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
