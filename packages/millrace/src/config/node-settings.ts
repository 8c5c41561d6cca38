/**
 * The settings of the node as a whole; those of the engine and of the listener stand beside them in
 * their own packages. Text that names an address is checked where it is used, by `listen-address`.
 */
import type { SettingValues } from '@millrace/base'

export const NODE_SETTINGS = {
  data: {
    type: 'text',
    default: 'data',
    doc: 'Folder of the data; created when it is not there. One process at a time.',
  },
  kafka: {
    type: 'text',
    default: '127.0.0.1:9092',
    doc: 'HOST:PORT that Kafka clients connect to; port 0 takes a free one.',
  },
  http: {
    type: 'text',
    default: '127.0.0.1:8080',
    doc: 'HOST:PORT of /healthz, /readyz and /metrics; port 0 takes a free one, "off" opens none.',
  },
  advertise: {
    type: 'text',
    default: '',
    doc: 'HOST:PORT that clients are told to connect to; empty: the address at which they arrived.',
  },
  'insecure.listen': {
    type: 'boolean',
    default: false,
    doc: 'Whether to listen beyond this machine although nobody has to authenticate.',
  },
  'logging.level': {
    type: 'choice',
    default: 'info',
    choices: ['info', 'warn', 'error', 'silent'],
    doc: 'Least severity of what is logged, to standard error.',
  },
  'stop.timeout.ms': {
    type: 'integer',
    default: 30_000,
    min: 1_000,
    max: 600_000,
    doc: 'Longest wait for a clean stop; after it the process ends without, and recovers at the next start.',
  },
  'http.connections.max': {
    type: 'integer',
    default: 64,
    min: 1,
    max: 10_000,
    doc: 'Open HTTP connections. One more takes the place of the oldest without a request being answered.',
  },
  'http.hosts': {
    type: 'text',
    default: '',
    doc: 'Names, with commas between, by which the HTTP side may be asked for beside addresses, localhost and the host of "http"; "*" is any.',
  },
  'http.request.timeout.ms': {
    type: 'integer',
    default: 10_000,
    min: 1_000,
    max: 300_000,
    doc: 'Longest time for a whole HTTP request to arrive.',
  },
  'http.headers.max.bytes': {
    type: 'integer',
    default: 8192,
    min: 1024,
    max: 65_536,
    doc: 'Largest headers of an HTTP request.',
  },
} as const

/** The values of {@link NODE_SETTINGS}. */
export type NodeSettings = SettingValues<typeof NODE_SETTINGS>
