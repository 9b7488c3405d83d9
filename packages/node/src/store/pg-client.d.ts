// The client alone: the package's main file also makes a pool class, out of another package that it may get in a form
// it does not expect when a program is started with the resolution condition `import`.
declare module "pg/lib/client.js" {
  import { Client } from "pg"
  export = Client
}
