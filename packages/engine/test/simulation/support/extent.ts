// How much of what could be tried is tried: the gate takes a part of each kind, SIM_ALL=1 everything.

/** Whether every byte and every outcome is tried, however long that takes. */
export const ALL = (process.env['SIM_ALL'] ?? '') !== ''

/** Of how many one is tried: `n` in the gate, where the kind is met many times over. */
export const oneOf = (n: number): number => (ALL ? 1 : n)
