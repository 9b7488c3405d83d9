import { it } from "vitest"
import { execSync } from "node:child_process"
import { layOutHeld, searchHeld } from "../security/held-run.js"
import { Scanner } from "../security/scanner.js"
it("x", async () => {
  const cpu = () => process.cpuUsage().user/1e6
  const plan = {protection:"ckks",fogs:1,store:"segments",memory:true} as const
  const run = await layOutHeld(plan)
  const proto = Scanner.prototype as any
  for (const m of ["scanFolder"]) { const f = proto[m]; let depth=0; proto[m] = function(p:string,w:string){ const t=cpu(); depth++; const r=f.call(this,p,w); depth--; if(depth===0) console.log(m,w,(cpu()-t).toFixed(2)); return r } }
  const t=cpu()
  const h = await searchHeld(run, plan)
  console.log("total", cpu()-t, h.seconds)
  console.log(execSync(`cd ${run.folder}; du -sk traffic leader leader/data/* leader/data/studies/*/* fog-1 hospital-2 authority`).toString())
  await run.close()
}, 600000)
