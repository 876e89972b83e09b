-- Count hits in all of their windows, or in none if one refuses.
-- A moving window is a sorted set of hit times. A bucket or a period is a string: its level, when
-- that was right, and the words of the calls that were counted last.
-- KEYS: windows. ARGV: a word unique to this call, whether to count ("1"), how far in the future a
-- hit may lie (seconds), then for each key: kind (w, b, p), whether it refuses (y, n), whether it is
-- counted (r where there is room, a always, n never), limit, seconds, cost, and the capacity of a
-- bucket or the end of a period. Answers 1 or 0, then remaining, reset and retry (milliseconds) for
-- each, as they are after the call.
local call = redis.call
local time = call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local unique = ARGV[1]
local step = tonumber(ARGV[3])
local rounding = 0.000001
local hits = {}
local allowed = 1
local again = false
local answer = {1}

local function read(i)
  local kind, refuses, counts, limit, seconds, cost, extra =
    string.match(ARGV[3 + i], '^(%a)(%a)(%a) (%d+) (%d+) (%d+) (%S+)$')
  return { -- all fields, so that the table does not grow
    kind = kind, refuses = refuses == 'y', counts = counts, limit = tonumber(limit),
    seconds = tonumber(seconds), cost = tonumber(cost), extra = tonumber(extra),
    again = false, room = true, over = 0, newest = now, level = 0, at = now, words = ''
  }
end

local function score(key, index)
  local found = call('ZRANGE', key, index, index, 'WITHSCORES')
  return tonumber(found[2] or now)
end

local function judge_times(key, hit)
  call('ZREMRANGEBYSCORE', key, '-inf', now - hit.seconds)
  hit.newest = score(key, -1)
  if hit.newest > now + step then
    call('DEL', key) -- the clock was set back
    hit.newest = now
  end
  local live = call('ZCARD', key)
  hit.again = live > 0 and call('ZSCORE', key, unique .. ':1')
  local over = live + hit.cost - hit.limit
  local reset, retry = hit.seconds, 0
  if live > 0 then
    reset = math.max(score(key, 0) + hit.seconds - now, 0)
  end
  if over > 0 and hit.cost > 0 then
    retry = hit.seconds
    if hit.cost <= hit.limit then
      retry = math.max(score(key, over - 1) + hit.seconds - now, 0.001)
    end
  end
  hit.over = over
  return math.max(hit.limit - live, 0), reset, retry
end

local function count_times(key, hit)
  local at = math.max(now, hit.newest) -- times never go back, whatever the clock does
  for n = 1, math.min(hit.cost, hit.limit) do
    call('ZADD', key, at, unique .. ':' .. n)
  end
  if hit.over > 0 then -- by force; those before the newest `limit` decide nothing
    call('ZREMRANGEBYRANK', key, 0, -hit.limit - 1)
  end
  call('PEXPIRE', key, math.ceil((at - now + hit.seconds) * 1000) + 1000)
end

local function load_level(key, hit)
  local stored = call('GET', key)
  if not stored then
    return
  end
  local level, at, words = string.match(stored, '^(%S+) (%S+) (.*)$')
  level, at = tonumber(level), tonumber(at)
  hit.again = string.find(words, unique, 1, true)
  if hit.kind == 'p' then
    hit.level, hit.words = level, words
  elseif at <= now + step then -- otherwise the clock was set back
    hit.at, hit.words = math.max(at, now), words
    hit.level = math.max(level - math.max(now - at, 0) * hit.limit / hit.seconds, 0)
  end
end

local function judge_level(key, hit)
  load_level(key, hit)
  local capacity, reset = hit.extra, hit.level * hit.seconds / hit.limit
  if hit.kind == 'p' then
    capacity, reset = hit.limit, math.max(hit.extra - now, 0)
  end
  local room, retry = capacity - hit.level, 0
  if room + rounding < hit.cost and hit.cost > 0 then
    if hit.kind == 'p' then
      retry = math.max(reset, 0.001)
    elseif hit.cost > capacity then
      retry = hit.seconds
    else
      retry = math.max((hit.cost - room) * hit.seconds / hit.limit, 0.001)
    end
  end
  return math.max(math.floor(room + rounding), 0), reset, retry
end

local function count_level(key, hit)
  hit.level = hit.level + hit.cost
  local left = hit.at - now + hit.level * hit.seconds / hit.limit
  if hit.kind == 'p' then
    left = math.max(hit.extra - now, 0) + step
  end
  local words = unique .. ' ' .. string.sub(hit.words, 1, 7 * (#unique + 1))
  local value = string.format('%.17g %.17g %s', hit.level, hit.at, words)
  call('SET', key, value, 'PX', math.ceil(left * 1000) + 1000)
end

for i, key in ipairs(KEYS) do
  local hit = read(i)
  local remaining, reset, retry
  if hit.kind == 'w' then
    remaining, reset, retry = judge_times(key, hit)
  else
    remaining, reset, retry = judge_level(key, hit)
  end
  hits[i] = hit
  if hit.again then
    again, retry = true, 0
  end
  if retry > 0 and hit.refuses then
    allowed = 0
  end
  hit.room = retry == 0
  answer[i * 3 - 1] = remaining
  answer[i * 3] = math.ceil(reset * 1000)
  answer[i * 3 + 1] = math.ceil(retry * 1000)
end

-- The client asks again when an answer was lost on the way: the call was counted then.
if again then
  return answer
end

answer[1] = allowed
if allowed == 1 and ARGV[2] == '1' then
  for i, key in ipairs(KEYS) do
    local hit = hits[i]
    if hit.cost > 0 and (hit.counts == 'a' or (hit.counts == 'r' and hit.room)) then
      if hit.kind == 'w' then
        count_times(key, hit)
      else
        count_level(key, hit)
        if hit.kind == 'b' then
          answer[i * 3] = math.ceil(hit.level * hit.seconds / hit.limit * 1000)
        end
      end
      answer[i * 3 - 1] = math.max(answer[i * 3 - 1] - hit.cost, 0)
      answer[i * 3 + 1] = 0
    end
  end
end
return answer
