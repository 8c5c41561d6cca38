import { settingProblem } from '@millrace/base'
import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve-config.ts'
import { environmentName } from '../../src/config/setting-names.ts'
import { ALL_SETTINGS } from '../../src/config/tables.ts'
import { topicDefaultsOf } from '../../src/config/topic-defaults.ts'

describe('the settings of a node', () => {
  test.each(Object.entries(ALL_SETTINGS))(
    '%s has a legal default and says what it is',
    (key, setting) => {
      expect(settingProblem(key, setting, setting.default)).toBeNull()
      expect(setting.doc.length).toBeGreaterThan(5)
      expect(environmentName(key)).toMatch(/^MILLRACE_[A-Z0-9_]+$/)
    },
  )

  test('of whole numbers are refused one past their bounds', () => {
    for (const [key, setting] of Object.entries(ALL_SETTINGS)) {
      if (setting.type !== 'integer') continue
      for (const value of [setting.min, setting.max]) {
        expect(
          resolveConfig({ [key]: setting }, { file: { path: 'f', values: { [key]: value } } }),
        ).toBeDefined()
      }
      for (const value of [setting.min - 1, setting.max + 1, setting.min + 0.5]) {
        const sources = { file: { path: 'f', values: { [key]: value } } }
        expect(() => resolveConfig({ [key]: setting }, sources)).toThrow(key)
      }
    }
  })

  test('reach topics as defaults only where somebody has set them', () => {
    const values = { 'log.retention.ms': -1, 'message.max.bytes': 2_000_000 }
    const config = resolveConfig(ALL_SETTINGS, { file: { path: 'f', values } })
    expect(topicDefaultsOf(config)).toEqual({
      'retention.ms': '-1',
      'max.message.bytes': '2000000',
    })
  })
})
