import { callback } from './arguments.js'
import { CallSite } from './calls.js'
import { use, type Logger } from './log.js'
import { mailbox } from './mailbox.js'

/**
 * Gives the log lines of all stores of this process to a function, until it gets another one or `undefined`. They are
 * about the library itself: a subscription that lost its database, a snapshot that is not valid. The channel
 * `streamkeep:log` of `node:diagnostics_channel` has them too, while a call waits.
 *
 * A logger does not keep the process alive. Up to 1,000 lines wait for it; a line with a field `dropped` tells how many
 * more there were.
 */
export function setLogger(logger: Logger | undefined): void {
  try {
    if (logger !== undefined) callback('logger', logger)
  } catch (refused) {
    throw new CallSite('setLogger', setLogger).errorFrom(refused)
  }
  use(logger)
  mailbox.listen(logger !== undefined)
}
