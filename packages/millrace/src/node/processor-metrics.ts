/** The processors of applications, as Prometheus text: one gauge each for what an alarm looks at. */
import type { ApplicationsApi, ShownProcessor } from './applications-api.ts'

type Metric = {
  readonly name: string
  readonly help: string
  readonly value: (status: ShownProcessor) => number
}

const METRICS: readonly Metric[] = [
  {
    name: 'up',
    help: '1: it follows or catches up; 0: it restarts or has stopped',
    value: ({ state }) => (state === 'restarting' || state === 'stopped' ? 0 : 1),
  },
  { name: 'lag', help: 'records before the end of the log', value: ({ lag }) => lag },
  { name: 'parked', help: 'streams that are passed over', value: ({ parked }) => parked },
  { name: 'handled_total', help: 'events handled since the start', value: one => one.handled },
  { name: 'restarts_total', help: 'restarts since the start', value: one => one.restarts },
]

/** The text; empty without applications. */
export function processorMetrics(applications: ApplicationsApi): string {
  const rows = applications
    .list()
    .flatMap(({ name, processors }) => processors.map(status => ({ application: name, status })))
  if (rows.length === 0) return ''
  return METRICS.map(({ name, help, value }) => {
    const metric = `millrace_processor_${name}`
    const kind = name.endsWith('_total') ? 'counter' : 'gauge'
    const lines = rows.map(({ application, status }) => {
      const labels = `application="${application}",kind="${status.kind}",name="${status.name}"`
      return `${metric}{${labels}} ${value(status)}\n`
    })
    return `# HELP ${metric} ${help}\n# TYPE ${metric} ${kind}\n${lines.join('')}`
  }).join('')
}
