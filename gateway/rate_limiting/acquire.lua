-- Count a hit in every window, or in none if one is full. A window is a sorted set of hit times.
-- KEYS: windows. ARGV: a word unique to this call, whether to count ("1"), how far in the future a
-- hit may lie (seconds), then limit, seconds and cost for each key. Answers 1 or 0, then remaining,
-- reset and retry (milliseconds) for each, as they are after the call.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local unique = ARGV[1]
local allowed = 1
local answer = {1}

local function score(key, index)
  local found = redis.call('ZRANGE', key, index, index, 'WITHSCORES')
  return tonumber(found[2] or now)
end

for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[i * 3 + 1])
  local seconds = tonumber(ARGV[i * 3 + 2])
  local cost = tonumber(ARGV[i * 3 + 3])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - seconds)
  if score(key, -1) > now + tonumber(ARGV[3]) then
    redis.call('DEL', key) -- the clock was set back
  end
  local live = redis.call('ZCARD', key)
  local over = live + cost - limit
  local reset = seconds
  local retry = 0
  if live > 0 then
    reset = math.max(score(key, 0) + seconds - now, 0)
  end
  if over > 0 then
    allowed = 0
    retry = seconds
    if cost <= limit then
      retry = math.max(score(key, over - 1) + seconds - now, 0.001)
    end
  end
  answer[#answer + 1] = math.max(limit - live, 0)
  answer[#answer + 1] = math.ceil(reset * 1000)
  answer[#answer + 1] = math.ceil(retry * 1000)
end

-- The client asks again when an answer was lost on the way: the call was counted then.
for i, key in ipairs(KEYS) do
  if redis.call('ZSCORE', key, unique .. ':1') then
    answer[1] = 1
    for n = 1, #KEYS do
      answer[n * 3 + 1] = 0
    end
    return answer
  end
end

answer[1] = allowed
if allowed == 1 and ARGV[2] == '1' then
  for i, key in ipairs(KEYS) do
    local cost = tonumber(ARGV[i * 3 + 3])
    local at = math.max(now, score(key, -1)) -- times never go back, whatever the clock does
    for n = 1, cost do
      redis.call('ZADD', key, at, unique .. ':' .. n)
    end
    local left = at - now + tonumber(ARGV[i * 3 + 2])
    redis.call('PEXPIRE', key, math.ceil(left * 1000) + 1000)
    answer[i * 3 - 1] = answer[i * 3 - 1] - cost
  end
end
return answer
