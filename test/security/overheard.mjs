import { appendFileSync, mkdirSync } from "node:fs"
import net from "node:net"
import { join } from "node:path"
import { TLSSocket } from "node:tls"

// Loaded into a process beside its program: keeps what the process sends over TLS as it is before it is encrypted, one file
// for each connection, in the folder OVERHEARD. What all processes of a study send is all its traffic.

const folder = join(process.env.OVERHEARD, String(process.pid))
mkdirSync(folder, { recursive: true })
const files = new WeakMap()
let connections = 0

const keep = (socket, chunk, encoding) => {
  if (!(socket instanceof TLSSocket)) return
  if (!files.has(socket)) files.set(socket, join(folder, String(connections++)))
  appendFileSync(files.get(socket), typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk)
}

const { _write: write, _writev: writev } = net.Socket.prototype
net.Socket.prototype._write = function (chunk, encoding, done) {
  keep(this, chunk, encoding)
  return write.call(this, chunk, encoding, done)
}
net.Socket.prototype._writev = function (chunks, done) {
  for (const { chunk, encoding } of chunks) keep(this, chunk, encoding)
  return writev.call(this, chunks, done)
}
