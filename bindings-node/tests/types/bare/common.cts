// Compiled, never run, as below.
import streamkeep = require('streamkeep')

export const made: streamkeep.RecordedEvent<'Paid', { amount: number }> = streamkeep.recordedEvent({ stream: 's', type: 'Paid', data: { amount: 1 } })
