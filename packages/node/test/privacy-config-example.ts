/** The file of the design, as it is printed there: it must start a study. */
export const EXAMPLE_CONFIG = `differential_privacy: true
epsilon: 1.0
delta: 1e-5
noise_multiplier: 1.1
homomorphic_encryption: true
encryption_scheme: CKKS      # or BFV, PAILLIER
key_length: 4096
`
