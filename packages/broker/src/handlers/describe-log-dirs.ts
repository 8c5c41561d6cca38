/** DescribeLogDirs: the one data folder, how full its volume is, how large each partition is. */
import type { PartitionSize } from '@millrace/log'
import {
  type Decoded,
  type DescribeLogDirsRequest,
  type DescribeLogDirsResponse,
  describeLogDirs,
  ERROR_CODES,
} from '@millrace/protocol'
import type { Handler } from './handler.ts'
import { groupByTopic } from './nested.ts'

/** First version with an error for the whole. */
const ERROR_VERSION_MIN = 3

/** The handler of DescribeLogDirs. */
export const describeLogDirsHandler: Handler<DescribeLogDirsRequest, DescribeLogDirsResponse> = {
  api: describeLogDirs,

  handle: async ({ topics }, _call, { engine }) => {
    const sizes = wanted(await engine.describeSizes(topics?.map(({ topic }) => topic)), topics)
    const { folder, totalBytes, freeBytes } = engine.storage()
    return {
      throttleTimeMs: 0,
      results: [
        {
          errorCode: ERROR_CODES.NONE,
          logDir: folder,
          topics: [...groupByTopic(sizes)].map(([name, partitions]) => ({
            name,
            partitions: partitions.map(({ partition, bytes }) => ({
              partitionIndex: partition,
              partitionSize: bytes,
              offsetLag: 0,
              isFutureKey: false,
            })),
          })),
          totalBytes,
          usableBytes: freeBytes,
        },
      ],
    }
  },

  failure: (_request, { code: errorCode }, { version }) =>
    version >= ERROR_VERSION_MIN
      ? { throttleTimeMs: 0, errorCode, results: [] }
      : { throttleTimeMs: 0, results: [{ errorCode, logDir: '', topics: [] }] },
}

function wanted(
  sizes: readonly PartitionSize[],
  topics: Decoded<DescribeLogDirsRequest>['topics'],
): readonly PartitionSize[] {
  if (topics === null) return sizes
  // By topic, not by a text of both: a long name with many partitions would be copied for each.
  const asked = new Map<string, Set<number>>()
  for (const { topic, partitions } of topics) {
    const numbers = asked.get(topic) ?? new Set()
    for (const partition of partitions) numbers.add(partition)
    asked.set(topic, numbers)
  }
  return sizes.filter(({ topic, partition }) => asked.get(topic)?.has(partition) === true)
}
