export {
  Agenda,
  type AgendaItem,
  COMMANDS,
  EFFECTS,
  type InstanceRef,
  NEVER,
  PARKED,
  TIMERS,
} from './agenda.ts'
export { Alarm } from './alarm.ts'
export { Dispatcher, type Lane } from './dispatcher.ts'
