# Quoted texts and heredocs: escapes, indents, directives, markers that take blanks away, references left for the node.
locals {
  names = ["ann", "bob"]
}

job "texts" {
  meta {
    escapes  = "a\tb \"c\" \\ \u00e9 \U0001F980 $${x} %%{y} $ % $$ 100%"
    nested   = "outer ${"inner ${1 + 1} ${"deep"}"}"
    composed = "e\u0301"
    lone     = "${length(local.names)}"

    plain = <<EOT
  kept as
    it is ${attr.kernel.name}
EOT

    flush = <<-EOT
      first
        second

      ${"third"}
    EOT

    loop = <<-EOT
      %{ for i, name in local.names ~}
      ${i}. ${name}
      %{ endfor ~}
      %{ if length(local.names) > 5 }many%{ else }few%{ endif }
    EOT

    trimmed = "a  ${~ "b" ~}  c"
    in_call = upper(<<-EOT
      shout
    EOT
    )
    with-dash = <<-END-OF-TEXT
      END
      END-OF-TEXT

    braces  = "{${attr.x}} and ${ attr.y }}"
    runtime = "${NOMAD_ALLOC_ID}/${env["A.B"]}/${meta.rack[0]}"
    bare    = attr.cpu.arch
  }
}
