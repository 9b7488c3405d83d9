/**
 * Where patients lie among the coefficients of a linear model's ciphertext. Patient p's columns are at d p, ..., d p + d - 1 and
 * the weights, once and in reverse, at 0, ..., d - 1; their product has p's sum at d p + d - 1, and there nothing else: what
 * wraps around the degree reaches d - 2 at most.
 *
 * Math: coefficient d p + d - 1 of x w = sum over a + b = d p + d - 1 of x_a w_b, 0 <= b < d: the d columns of p
 */

/** Where the columns of a patient begin. */
export const firstColumn = (patient: number, columns: number): number => patient * columns

/** Where the logit of a patient is. */
export const logitPlace = (patient: number, columns: number): number => patient * columns + columns - 1

/** Where the weight of a column is. */
export const weightPlace = (column: number, columns: number): number => columns - 1 - column
