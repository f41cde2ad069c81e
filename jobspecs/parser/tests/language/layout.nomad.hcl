/* Comments of all kinds, odd blanks, bare labels,
   and blocks on one line. */
job   bare-label   { # behind a brace
  # above an attribute
  type="batch" // behind a value
  priority /* inside */ = /* twice */ 40

  meta { one = "line" }
  update {}
  group"tight"{
    count = (
      1 +
      2 # inside parentheses
    )
    restart { attempts = 1 }
    task "résumé" {
      driver = "raw_exec"
      config { command = "true" }
      env {}
      kill_timeout = [
        "1s", "2s",
      ][
        1
      ]
    }
  }
}
