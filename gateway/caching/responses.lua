-- Kept answers, each as a string of its own, and the books about them.
-- KEYS: the books, a hash; the names, a sorted set; for `write`, what is written. ARGV: what to do,
-- and with what.
-- The books hold the word of this collection (i), which each answer begins with; the run of Redis
-- that they are of (run); the number of writes (n), of answers (count) and their bytes; the purges
-- of all (any) and of each group of paths; for each key (k and the key) its bytes, its place in the
-- order, its url and tags.
-- The names are i and the word; for each key o, u and t for order, url and tags, the name, a NUL
-- and the key. Redis may drop books or names for want of memory: without one the other says
-- nothing, and all is begun anew under another word. What is left then expires.
local call = redis.call
local books, names = KEYS[1], KEYS[2]
local life = 86400000

local function place(key)
  return books .. ':kept:' .. key
end

local function word()
  local found = call('HGET', books, 'i')
  return found and call('ZSCORE', names, 'i' .. found) and found
end

-- Once a script has changed something, Redis refuses it nothing for want of memory: what has to be
-- done begins with this.
local function live()
  call('PEXPIRE', books, 2 * life)
  call('PEXPIRE', names, 2 * life)
end

local function begin(new)
  local run = call('HGET', books, 'run') or ''
  call('UNLINK', books, names)
  call('HSET', books, 'i', new, 'run', run)
  call('ZADD', names, 0, 'i' .. new)
  live()
  return new
end

local function seen(group)
  local purges = call('HMGET', books, 'any', group)
  return (purges[1] or '0') .. ' ' .. (purges[2] or '0')
end

local function members(key, order, url, tags)
  local all = {'o' .. order .. '\0' .. key, 'u' .. url .. '\0' .. key}
  for i, tag in ipairs(tags) do
    all[i + 2] = 't' .. tag .. '\0' .. key
  end
  return all
end

-- Take a key out of the books.
local function unlist(key)
  local told = call('HGET', books, 'k' .. key)
  if told then
    local size, order, url, tags = cmsgpack.unpack(told)
    call('HDEL', books, 'k' .. key)
    call('ZREM', names, unpack(members(key, order, url, tags)))
    call('HINCRBY', books, 'bytes', -size)
    call('HINCRBY', books, 'count', -1)
  end
end

-- Answers 1 if there was something.
local function forget(key)
  local there = call('UNLINK', place(key))
  unlist(key)
  return there
end

-- Keys between two names, and what was found of them.
local function between(first, last, most)
  local found, keys = call('ZRANGEBYLEX', names, first, last, 'LIMIT', 0, most), {}
  for i, name in ipairs(found) do
    keys[i] = string.sub(name, -16)
  end
  return keys, found
end

local function over(limit)
  return tonumber(call('HGET', books, 'bytes') or 0) > tonumber(limit)
end

-- Drop what was written first, as long as there is too much; answers 1 if there still is.
local function evict(limit, most)
  if not over(limit) then
    return 0
  end
  local keys = between('[o', '(p', most)
  for _, key in ipairs(keys) do
    forget(key)
    if not over(limit) then
      return 0
    end
  end
  return #keys > 0 and 1 or 0
end

-- Those that Redis dropped by itself are the oldest, or are found one day.
local function tidy()
  for _, key in ipairs((between('[o', '(p', 2))) do
    if call('EXISTS', place(key)) == 0 then
      unlist(key)
    end
  end
end

local doing = {evict = evict, forget = forget}

function doing.ticket(new, group)
  return {word() or begin(new), seen(group)}
end

-- Answers whether it is kept, and whether there is too much now.
function doing.write(key, value, of, purges, group, size, limit, url, ...)
  if word() ~= of or seen(group) ~= purges then
    return {0, 0}
  end
  local done = redis.pcall('SET', KEYS[3], value, 'PX', life)
  if done.err then
    if not string.find(done.err, 'OOM', 1, true) then
      return done
    end
    return {0, evict(0, 100)} -- Redis takes nothing more: what is here makes room
  end
  unlist(key)
  local order = string.format('%016.0f', call('HINCRBY', books, 'n', 1))
  call('HSET', books, 'k' .. key, cmsgpack.pack(tonumber(size), order, url, {...}))
  for _, name in ipairs(members(key, order, url, {...})) do
    call('ZADD', names, 0, name)
  end
  call('HINCRBY', books, 'bytes', size)
  call('HINCRBY', books, 'count', 1)
  live()
  tidy()
  return {1, evict(limit, 32)}
end

-- Let some of what is named between two not be found any more; the books are for `sweep`. Answers
-- how many there were, and the last name if there may be more.
function doing.hide(most, first, last)
  local keys, found = between(first, last, most)
  local places = {}
  for i, key in ipairs(keys) do
    places[i] = place(key)
  end
  local there = #places > 0 and call('UNLINK', unpack(places)) or 0
  return {there, #found == tonumber(most) and found[#found] or ''}
end

-- Drop some of what is named between each first and last; answers how many there were, and how
-- many names were looked at between each.
function doing.sweep(most, ...)
  local ranges, answer = {...}, {0}
  for i = 1, #ranges, 2 do
    local keys, found = between(ranges[i], ranges[i + 1], most)
    for n, key in ipairs(keys) do
      answer[1] = answer[1] + forget(key)
      call('ZREM', names, found[n])
    end
    answer[#answer + 1] = #keys
  end
  return answer
end

-- The same, and what is on its way to be kept is not, from now on.
function doing.purge(new, group, ...)
  local old = word()
  live()
  if not old then
    begin(new)
  elseif group == 'all' then -- under another word nothing is found any more
    call('HSET', books, 'i', new)
    call('ZREM', names, 'i' .. old)
    call('ZADD', names, 0, 'i' .. new)
  else
    call('HINCRBY', books, group, 1)
  end
  return doing.sweep(...)
end

-- Redis has started since, perhaps from what it saved before a purge: nothing of it is to be found.
function doing.run(new, run)
  if call('HGET', books, 'run') == run then
    return
  end
  live()
  call('HSET', books, 'run', run)
  doing.purge(new, 'all')
end

return doing[ARGV[1]](unpack(ARGV, 2))
