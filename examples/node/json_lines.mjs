// What JSON.parse does not preserve of a line: the exact text of a member, and a time to the microsecond.

/** The exact text of a member in a line with a JSON object; of several the last one, as in JSON.parse. */
export function sliceOf(line, name) {
  let found
  let at = line.indexOf('{') + 1
  while (at < line.length) {
    const key = token(line, at)
    if (line[key.start] === '}') break
    const value = token(line, line.indexOf(':', key.end) + 1)
    if (JSON.parse(line.slice(key.start, key.end)) === name) found = line.slice(value.start, value.end)
    const after = space(line, value.end)
    if (line[after] !== ',') break
    at = after + 1
  }
  return found
}

/** Where the value at an index begins and ends. */
function token(line, at) {
  const start = space(line, at)
  const first = line[start]
  if (first === '"') return { start, end: endOfString(line, start) }
  if (first !== '{' && first !== '[') return { start, end: start + /[^\s,}\]]*/.exec(line.slice(start))[0].length }
  let [depth, end] = [0, start]
  do {
    const char = line[end]
    if (char === '"') end = endOfString(line, end) - 1
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') depth -= 1
    end += 1
  } while (depth > 0)
  return { start, end }
}

function endOfString(line, start) {
  let end = start + 1
  while (line[end] !== '"') end += line[end] === '\\' ? 2 : 1
  return end + 1
}

function space(line, at) {
  while (' \t\r\n'.includes(line[at]) && at < line.length) at += 1
  return at
}

/** Microseconds since 1970 of an RFC 3339 time; a Date has milliseconds only. */
export function microseconds(time) {
  const fraction = (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(6, '0').slice(0, 6)
  return Date.parse(time.replace(/\.\d+/, '')) * 1000 + Number(fraction)
}
