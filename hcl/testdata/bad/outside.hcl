# Values from outside that are not written as their types want them.
playbook "outside" {
  language = 1
}

variable "yes" {
  type = bool
}

variable "number" {
  type = number
}

variable "texts" {
  type = list(string)
}

variable "numbers" {
  type = list(number)
}

task "assert" "used" {
  condition     = var.yes && var.number > 0 && length(var.texts) > 0 && length(var.numbers) > 0
  error_message = "no"
}

# bind: var:yes=on var:number=three var:texts=a,b var:numbers=1,2
