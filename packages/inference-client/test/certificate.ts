// @peculiar/x509 needs the metadata registry before it loads
import "reflect-metadata"
import { KeyObject, webcrypto } from "node:crypto"
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509"

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const
const HOUR = 3_600_000

/** A certificate that vouches for itself, for some host, and its key; both PEM. */
export const certificateFor = async (
  host: string,
): Promise<{ readonly cert: string; readonly key: string }> => {
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ["sign", "verify"])
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [host] }],
      notBefore: new Date(Date.now() - HOUR),
      notAfter: new Date(Date.now() + HOUR),
      keys,
      signingAlgorithm: ECDSA,
      extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: host }])],
    },
    webcrypto,
  )
  const key = KeyObject.from(keys.privateKey).export({ format: "pem", type: "pkcs8" }) as string
  return { cert: certificate.toString("pem"), key }
}
