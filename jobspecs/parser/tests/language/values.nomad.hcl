# Variables and locals of every type, and what becomes of them.
variable "text" {
  type        = string
  default     = 17
  description = "A number that becomes text."
}

variable "number" {
  type    = number
  default = "2.50"

  validation {
    condition     = var.number > 1 && can(convert(var.number, number))
    error_message = "Must be more than one."
  }
}

variable "flag" {
  type    = bool
  default = "true"
}

variable "shape" {
  type = object({
    name  = string
    sizes = list(number)
    deep  = map(object({ on = bool }))
  })
  default = {
    name    = "box"
    sizes   = ["1", 2.5]
    deep    = { a = { on = "false" } }
    dropped = "not part of the type"
  }
}

variable "pair" {
  type    = tuple([string, number])
  default = [1, "2"]
}

variable "names" {
  type    = set(string)
  default = ["b", "a", "b"]
}

variable "free" {
  default = { any = ["thing", 1] }
}

variable "nothing" {
  type    = string
  default = null
}

variable "given" {}

variables {
  legacy = "old form"
}

locals {
  total = local.part * 2
  part  = length(var.names) + 1
  text  = "${var.text}/${var.number}/${var.flag}"
}

locals {
  runtime = "${node.unique.name}:${local.total}"
}

job "values" {
  priority    = "${local.total * 10}"
  datacenters = [for name in var.names : "dc-${name}"]

  meta = {
    text    = local.text
    shape   = jsonencode(var.shape)
    pair    = jsonencode(var.pair)
    names   = jsonencode(var.names)
    free    = jsonencode(var.free)
    legacy  = var.legacy
    given   = jsonencode(var.given)
    runtime = local.runtime
    all     = jsonencode([for k, v in var.shape.deep : "${k}:${v.on}"])
    chosen  = var.nothing == null ? "none" : var.nothing
  }

  group "g" {
    count = var.flag ? local.part : 0

    task "t" {
      driver       = "raw_exec"
      kill_timeout = 2e9
      user         = var.nothing == null ? "nobody" : var.nothing

      config {
        command = "true"
      }
    }
  }
}
