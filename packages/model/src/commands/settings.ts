/** Settings by dotted key. */
export const COMMAND_SETTINGS = {
  'command.conflicts.max': {
    type: 'integer',
    default: 20,
    min: 1,
    max: 10_000,
    doc: 'Most times that a command is decided because another writer came first.',
  },
  'command.conflict.first.ms': {
    type: 'integer',
    default: 2,
    min: 0,
    max: 60_000,
    doc: 'Wait after the second lost race; doubles with each. The first is decided again at once.',
  },
  'command.conflict.longest.ms': {
    type: 'integer',
    default: 100,
    min: 0,
    max: 60_000,
    doc: 'Longest wait after a lost race.',
  },
  'command.waiting.max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Most commands that wait for another one of their stream; beyond it OVERLOADED.',
  },
  'command.states.max': {
    type: 'integer',
    default: 10_000,
    min: 0,
    max: 10_000_000,
    doc: 'States kept in memory, so that a load reads only what came since; 0: none.',
  },
} as const
