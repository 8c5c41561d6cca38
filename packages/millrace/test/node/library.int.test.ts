import { createProducer } from '@millrace/clients'
import { describe, expect, test } from 'vitest'
import { ConfigError, openEmbedded, start } from '../../src/index.ts'
import { tempFolder } from '../support/temp-folder.ts'

describe('openEmbedded', () => {
  test('keeps what was acknowledged over a restart, with the settings it was given', async () => {
    await using folder = await tempFolder()
    {
      await using log = await openEmbedded({ data: folder.path, 'log.retention.ms': 1_000_000 })
      await log.createTopics([{ name: 't', partitions: 2 }])
      await using producer = createProducer(log)
      const stored = await producer.send('t', { key: 'k', value: 'v' })
      expect(stored.offset).toBe(0)
      const config = await log.describeConfig('t')
      expect(config.find(entry => entry.name === 'retention.ms')).toMatchObject({
        value: '1000000',
        source: 'node',
      })
    }
    await using log = await openEmbedded({ data: folder.path })
    const offsets = await log.listOffsets([
      { topic: 't', partition: 0, place: 'latest' },
      { topic: 't', partition: 1, place: 'latest' },
    ])
    expect(offsets.map(answer => answer.offset).toSorted()).toEqual([0, 1])
  })

  test('refuses bad settings, and a folder that is open already', async () => {
    await using folder = await tempFolder()
    const bad = openEmbedded({ data: folder.path, 'num.partitions': 0 })
    await expect(bad).rejects.toThrow(ConfigError)
    await using _log = await openEmbedded({ data: folder.path })
    await expect(openEmbedded({ data: folder.path })).rejects.toMatchObject({
      code: 'KAFKA_STORAGE_ERROR',
    })
  })
})

describe('start', () => {
  test('is a node in this process, which a second call on its folder cannot be', async () => {
    await using folder = await tempFolder()
    const options = { data: folder.path, kafka: '127.0.0.1:0', http: 'off' } as const
    await using node = await start(options)
    expect(node.http).toBeNull()
    await node.log.createTopics([{ name: 't' }])
    await expect(start(options)).rejects.toThrow(/in use by another process/)
    await node.stop()
    await node.stop()
    await using again = await start(options)
    expect((await again.log.describeTopics(['t']))[0]?.name).toBe('t')
  })

  test('refuses addresses that are none', async () => {
    await expect(start({ kafka: '9092' })).rejects.toThrow(/kafka must be HOST:PORT/)
    await expect(start({ kafka: '0.0.0.0:0' })).rejects.toThrow(/other machines/)
  })
})
