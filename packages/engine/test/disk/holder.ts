// A process of its own for node-disk.int.test.ts: `lock` holds a folder until it is killed, `write`
// writes the journal and closes, `idle` leaves an idle journal writer and the lock to the exit.
import { nodeDisk } from '../../src/disk/node-disk.ts'

const [, , task, folder = ''] = process.argv
const disk = nodeDisk(folder)
disk.lock()
if (task === 'lock') {
  console.log('locked')
  // Whoever holds the lock is not left to the garbage collector.
  setInterval(() => disk.exists(''), 1000)
} else {
  const writer = disk.openJournalWriter(1, 512)
  writer.staging[0]?.fill('j')
  const file = disk.open('j', 'create')
  // Nothing but the write in flight keeps this process alive here.
  await writer.write({ file, position: 0, slot: 0, length: 512, sync: true })
  console.log('written')
  if (task === 'write') {
    file.close()
    await disk.close()
    console.log('closed')
  }
}
