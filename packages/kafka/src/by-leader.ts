/**
 * Calls about partitions, each answered by its leader: split, sent at once, put together again in
 * the order of the questions, and asked again where a leader has moved.
 */
import { LogError, type TopicPartition } from '@millrace/log'
import type { Broker } from './broker.ts'
import type { Cluster, Led } from './cluster.ts'
import { ConnectionLost, closedError, leaderMoved } from './errors.ts'
import { backoff } from './retry.ts'

/** A question per partition and the shape of its answers. */
export type PartitionCall<Question extends TopicPartition, Answer> = {
  /**
   * Asks one broker about partitions that it leads, no partition twice; answers in their order.
   * What it throws becomes the answer of each.
   */
  readonly ask: (broker: Broker, questions: readonly Question[]) => Promise<readonly Answer[]>
  /** The answer that an error makes. */
  readonly failed: (question: Question, error: LogError) => Answer
  readonly errorIn: (answer: Answer) => LogError | undefined
  /** Whether it may be sent again after its connection ended. */
  readonly repeat: boolean
}

/** Answers all questions. Throws only when the log is closed. */
export async function askLeaders<Question extends TopicPartition, Answer>(
  cluster: Cluster,
  questions: readonly Question[],
  call: PartitionCall<Question, Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = new Array(questions.length)
  let open = questions.map((_, index) => index)
  for (let tries = 1; ; tries += 1) {
    await askOnce(cluster, questions, open, call, answers)
    open = open.filter(index => isToBeAskedAgain(cluster, call, answers[index] as Answer, tries))
    if (open.length === 0) return answers
    for (const index of open) cluster.forget((questions[index] as Question).topic)
    await backoff(cluster.outside, cluster.settings, tries)
    if (cluster.closed) throw closedError()
  }
}

function isToBeAskedAgain<Question extends TopicPartition, Answer>(
  cluster: Cluster,
  call: PartitionCall<Question, Answer>,
  answer: Answer,
  tries: number,
): boolean {
  const error = call.errorIn(answer)
  if (error === undefined) return false
  const { settings } = cluster
  if (leaderMoved(error)) return tries <= settings['leader.retries.max']
  if (!(error instanceof ConnectionLost)) return false
  return (call.repeat || !error.sent) && tries <= settings['network.retries.max']
}

async function askOnce<Question extends TopicPartition, Answer>(
  cluster: Cluster,
  questions: readonly Question[],
  open: readonly number[],
  call: PartitionCall<Question, Answer>,
  answers: Answer[],
): Promise<void> {
  const leaders = await Promise.all(
    open.map(index => leaderOf(cluster, questions[index] as Question)),
  )
  const perBroker = new Map<Broker, number[]>()
  for (const [at, index] of open.entries()) {
    const leader = leaders[at] as Led
    if (leader instanceof LogError) {
      answers[index] = call.failed(questions[index] as Question, leader)
    } else {
      const group = perBroker.get(leader)
      if (group === undefined) perBroker.set(leader, [index])
      else group.push(index)
    }
  }
  const asked = [...perBroker].flatMap(([broker, indexes]) =>
    withoutRepeats(indexes, index => partitionKey(questions[index] as Question)).map(group =>
      askBroker(cluster, broker, questions, group, call, answers),
    ),
  )
  await Promise.all(asked)
}

async function askBroker<Question extends TopicPartition, Answer>(
  cluster: Cluster,
  broker: Broker,
  questions: readonly Question[],
  group: readonly number[],
  call: PartitionCall<Question, Answer>,
  answers: Answer[],
): Promise<void> {
  const asked = group.map(index => questions[index] as Question)
  let told: readonly Answer[]
  try {
    told = await call.ask(broker, asked)
  } catch (error) {
    if (!(error instanceof LogError) || error.code === 'LOG_CLOSED') throw error
    told = asked.map(question => call.failed(question, error))
  }
  for (const [at, index] of group.entries()) {
    const answer = told[at] as Answer
    answers[index] = answer
    const error = call.errorIn(answer)
    if (error !== undefined && isAboutLeaders(error)) {
      cluster.forget((questions[index] as Question).topic)
    }
  }
}

/** Whether an error says that what is known of the topic may be wrong. */
export const isAboutLeaders = (error: LogError): boolean =>
  leaderMoved(error) ||
  error instanceof ConnectionLost ||
  error.code === 'UNKNOWN_TOPIC_OR_PARTITION' ||
  error.code === 'FENCED_LEADER_EPOCH' ||
  error.code === 'UNKNOWN_LEADER_EPOCH'

/** The leader, or the error that stands for it; throws only LOG_CLOSED. */
export async function leaderOf(cluster: Cluster, of: TopicPartition): Promise<Led> {
  try {
    return await cluster.leader(of.topic, of.partition)
  } catch (error) {
    if (error instanceof LogError && error.code !== 'LOG_CLOSED') return error
    throw error
  }
}

/** A partition as a key of a map. */
export const partitionKey = ({ topic, partition }: TopicPartition): string =>
  `${partition} ${topic}`

/** Splits a list so that no part has a key twice; the order within a key is kept. */
export function withoutRepeats<T>(
  list: readonly T[],
  keyOf: (item: T) => string,
): readonly (readonly T[])[] {
  const parts: T[][] = []
  const seen = new Map<string, number>()
  for (const item of list) {
    const key = keyOf(item)
    const part = seen.get(key) ?? 0
    seen.set(key, part + 1)
    const members = parts[part]
    if (members === undefined) parts.push([item])
    else members.push(item)
  }
  return parts
}

/** Groups what is about partitions by topic, as messages want it; order of first appearance. */
export function byTopic<T extends TopicPartition>(
  list: readonly T[],
): readonly (readonly [topic: string, items: readonly T[]])[] {
  const topics = new Map<string, T[]>()
  for (const item of list) {
    const items = topics.get(item.topic)
    if (items === undefined) topics.set(item.topic, [item])
    else items.push(item)
  }
  return [...topics]
}

/** Finds each question's answer in what a message told per topic and partition. */
export function inOrder<Question extends TopicPartition, Told, Answer>(
  questions: readonly Question[],
  told: Iterable<readonly [topic: string, partition: number, told: Told]>,
  answer: (question: Question, told: Told) => Answer,
  missing: (question: Question, error: LogError) => Answer,
): readonly Answer[] {
  const found = new Map<string, Told>()
  for (const [topic, partition, each] of told) found.set(partitionKey({ topic, partition }), each)
  return questions.map(question => {
    const each = found.get(partitionKey(question))
    if (each !== undefined) return answer(question, each)
    const detail = `the broker said nothing of ${question.topic}-${question.partition}`
    return missing(question, new LogError('UNKNOWN_SERVER_ERROR', detail))
  })
}
