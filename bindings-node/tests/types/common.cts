// Compiled, never run: the declarations for CommonJS.
import streamkeep = require('streamkeep')

export async function open(): Promise<streamkeep.EventStore> {
  return streamkeep.EventStore.open('memory:')
}
