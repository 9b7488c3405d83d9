import { Socket } from "node:net"

// Loaded before a program (node --import), it leads the program's connections to one port of this machine to another
// one: REDIRECT is "<port>:<port>".

const [from, to] = process.env.REDIRECT.split(":").map(Number)
const { connect } = Socket.prototype

Socket.prototype.connect = function (...given) {
  const [first] = given
  const options = Array.isArray(first) ? first[0] : first
  if (Number(options?.port) === from) options.port = to
  return connect.apply(this, given)
}
