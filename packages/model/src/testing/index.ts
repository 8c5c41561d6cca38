/** Given-when-then for aggregates, projections and sagas; runner-agnostic. */
export {}
