/**
 * Requests about partitions are nested by topic, the engine's calls are flat and answer in order:
 * these two walk between the shapes.
 */

/** One flat list over all partitions of all topics, in order. */
export function flatten<Topic, Partition, Item>(
  topics: readonly Topic[],
  partitionsOf: (topic: Topic) => readonly Partition[],
  item: (topic: Topic, partition: Partition) => Item,
): Item[] {
  const items: Item[] = []
  for (const topic of topics) {
    for (const partition of partitionsOf(topic)) items.push(item(topic, partition))
  }
  return items
}

/** Outcomes in the order of {@link flatten}, put back under their topics. */
export function nest<Topic, Partition, Outcome, Answer, TopicAnswer>(
  topics: readonly Topic[],
  partitionsOf: (topic: Topic) => readonly Partition[],
  outcomes: readonly Outcome[],
  answer: (partition: Partition, outcome: Outcome) => Answer,
  topicAnswer: (topic: Topic, partitions: readonly Answer[]) => TopicAnswer,
): TopicAnswer[] {
  let index = 0
  return topics.map(topic => {
    const answers = partitionsOf(topic).map(partition => {
      const outcome = outcomes[index]
      if (outcome === undefined) throw new Error('the log answered fewer partitions than asked')
      index += 1
      return answer(partition, outcome)
    })
    return topicAnswer(topic, answers)
  })
}

/** Items under the names of their topics, in the order in which the names first appear. */
export function groupByTopic<Item extends { readonly topic: string }>(
  items: readonly Item[],
): ReadonlyMap<string, readonly Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(item.topic)
    if (group === undefined) groups.set(item.topic, [item])
    else group.push(item)
  }
  return groups
}

/**
 * The first element of each key. Answers can be a thousand times larger than the questions: one
 * that is repeated must not be answered again.
 */
export function distinct<Element>(
  elements: readonly Element[],
  keyOf: (element: Element) => string,
): readonly Element[] {
  if (elements.length < 2) return elements
  const byKey = new Map<string, Element>()
  for (const element of elements) {
    const key = keyOf(element)
    if (!byKey.has(key)) byKey.set(key, element)
  }
  return byKey.size === elements.length ? elements : [...byKey.values()]
}

/** The elements that occur more than once. */
export function repeated(values: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const value of values) {
    if (seen.has(value)) twice.add(value)
    seen.add(value)
  }
  return twice
}

/**
 * Whether a partition might be named twice: cheap, and false for what clients send, whose topics are
 * all different and whose partitions ascend.
 */
export function mayRepeat<Topic>(
  topics: readonly Topic[],
  nameOf: (topic: Topic) => string,
  indexesOf: (topic: Topic) => Iterable<number>,
): boolean {
  const names = topics.length > 1 ? new Set<string>() : undefined
  for (const topic of topics) {
    const name = nameOf(topic)
    if (names?.has(name) === true) return true
    names?.add(name)
    let before = -1
    for (const index of indexesOf(topic)) {
      if (index <= before) return true
      before = index
    }
  }
  return false
}
