variable "city" {
  default = "Oslo"
}

variable "limits" {
  type    = map(number)
  default = { cpu = "500", memory = 256 }
}

variable "zones" {
  type    = list(string)
  default = ["north", "south", 3]
}

variable "colours" {
  type    = set(string)
  default = ["red", "blue", "red"]
}

variable "unset" {
  type    = list(string)
  default = null
}

locals {
  shops = [
    { name = "harbour", open = true, stock = [4, 0] },
    { name = "station", open = false, stock = [] },
  ]
  mixed = [1, "two", null]
  later = "${local.first}!"
  first = upper(var.city)
}

