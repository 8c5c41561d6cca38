/** The rule of the store, for those who check it: simulations, second implementations, tools. */
export * from './rule/conditions.ts'
export * from './rule/facts.ts'
export * from './rule/fold.ts'
export * from './rule/fold-state.ts'
