playbook "x" {
  language = 1
}

variable "a" {
  type    = string
  default = null
}

variable "b" {
  type    = number
  default = "5"
}

variable "c" {
  type    = list(string)
  default = [1]
}

variable "d" {
  default = 1
}

variable "e" {
  type    = string
  default = var.a
}

variable "f" {
  type = strnig
}

variable "g" {
  type = list
}

variable "h" {
  type = object({ a = optional(number, "x") })
}

variable "i" {
  type = optional(string)
}

variable "j" {
  type = list(string, number)
}

variable "k" {
  type = object({ "a b" = string })
}

variable "l" {
  type    = bool
  default = "false"
}

variable "m" {
  type    = map(string)
  default = { a = "b", c = 1 }
}
