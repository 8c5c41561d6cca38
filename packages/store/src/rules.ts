/** The rule of the store, for those who check it: simulations, second implementations, tools. */
export * from './on-log/conditions.ts'
export * from './on-log/facts.ts'
export * from './on-log/fold.ts'
