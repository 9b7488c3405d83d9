import "reflect-metadata"
import { createPublicKey, webcrypto } from "node:crypto"
import { insecureSeededRandom } from "@consilium/base/testing"
import { Pkcs10CertificateRequest } from "@peculiar/x509"
import { describe, expect, it } from "vitest"
import { checkCsr } from "../src/identity/ca.js"
import { makeCsr } from "../src/identity/csr.js"
import { newP256Secret, p256FromSecret, spkiHash } from "../src/identity/keys.js"

const keyOf = (label: string) => p256FromSecret(newP256Secret(insecureSeededRandom(1, label)))

describe("a certificate request that a participant writes itself", () => {
  it.each(["a", "north-clinic", "x".repeat(63)])(
    "is what the authority's library reads: %s",
    async (name) => {
      // signatures differ each time, in their length as well
      for (let i = 0; i < 20; i++) {
        const key = keyOf(`${name} ${i}`)
        const pem = makeCsr(name, key)
        const request = new Pkcs10CertificateRequest(pem)
        expect(await request.verify(webcrypto)).toBe(true)
        expect(request.subjectName.toJSON()).toEqual([{ CN: [name] }])
        expect([request.attributes, request.extensions]).toEqual([[], []])
        expect(Buffer.from(request.publicKey.rawData)).toEqual(
          createPublicKey(key).export({ format: "der", type: "spki" }),
        )
        // written again by the library, it has the same bytes: the one form that DER permits
        expect(request.toString("pem").replace(/\s/g, "")).toBe(pem.replace(/\s/g, ""))
        expect((await checkCsr(pem, name)).tlsKeyHash).toEqual(spkiHash(key))
      }
    },
  )
})
