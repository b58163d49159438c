-- One admission, or one round of upkeep, over the counters of a group: the
-- shares that one replica holds are written down as they are, and raised where
-- there is room, all or nothing. The same arithmetic in Rust is in model.rs; a
-- property test holds the two together.
--
-- KEYS[1]    the register: a sorted set of every counter with the moment until
--            which it counts, and of when it was made and lost a counter.
-- KEYS[1+n]  the counter of item n. An item may name the counter of another.
-- ARGV       replica, sequence number, lease (us), then ten for each item:
--            kind, slot, end, limit, held, used, need, low, high, acked.
--            kind w: a window, counted by its slot; s: a piece of a sliding
--            window, where all slots that have not ended count; p: permits,
--            which end with the lease; c: cells, for which limit is the time
--            of one cell and held that of all together.
-- returns    status, the last loss, now, then three for each item:
--            held, held by others, used by others; for cells: granted, the
--            theoretical arrival time, 0.
--
-- All numbers are whole and at most 2^53 - 1. Time is that of the server.
local MAX = 9007199254740991
local SHARE = 16
local GRANTED, SHORT, SETTLING, STALE = 0, 1, 2, 3

local function text(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local replica, seq, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local register = KEYS[1]

redis.call('ZREMRANGEBYSCORE', register, 0, text(now))
local epoch = redis.call('ZSCORE', register, 'epoch')
if epoch then
  epoch = -tonumber(epoch)
else
  epoch = now
  redis.call('ZADD', register, text(-now), 'epoch')
end

-- The last time that something was lost: replicas say all that they hold when
-- it changes.
local lost = -tonumber(redis.call('ZSCORE', register, 'lost') or '0')
lost = math.max(lost, epoch)

local items = {}
for n = 2, #KEYS do
  local at = 3 + (n - 2) * 10
  local item = {
    key = KEYS[n], kind = ARGV[at + 1], slot = ARGV[at + 2],
    ends = tonumber(ARGV[at + 3]), limit = tonumber(ARGV[at + 4]),
    held = tonumber(ARGV[at + 5]), used = tonumber(ARGV[at + 6]),
    need = tonumber(ARGV[at + 7]), low = tonumber(ARGV[at + 8]),
    high = tonumber(ARGV[at + 9]), acked = tonumber(ARGV[at + 10]),
  }
  item.field = item.slot .. ':' .. replica
  if item.kind == 'p' then
    item.ends = now + lease
  end
  items[#items + 1] = item
end

-- Rows are `held used sequence end`.
local function row(value)
  local held, used, n, ends = string.match(value, '^(%d+) (%d+) (%d+) (%d+)$')
  return tonumber(held), tonumber(used), tonumber(n), tonumber(ends)
end

-- A request that was overtaken, or comes once more, changes nothing.
for _, item in ipairs(items) do
  item.seen = 0
  if item.kind ~= 'c' then
    local value = redis.call('HGET', item.key, item.field)
    if value then
      local _, _, n = row(value)
      item.seen = n
      if n >= seq then
        return { STALE, lost, now }
      end
    end
  end
end

local function remember(item, ends)
  local known = redis.call('ZSCORE', register, item.key)
  if not known or tonumber(known) < ends then
    redis.call('ZADD', register, text(ends), item.key)
  else
    ends = tonumber(known)
  end
  if ends >= MAX then
    redis.call('PERSIST', item.key)
  else
    redis.call('PEXPIREAT', item.key, text(math.ceil(ends / 1000) + 60000))
  end
end

-- What is registered and not there was lost. So was what is older than the
-- replica knows it to be.
for _, item in ipairs(items) do
  local is_lost = redis.call('EXISTS', item.key) == 0
    and redis.call('ZSCORE', register, item.key)
  if item.kind == 'c' then
    if is_lost then
      redis.call('HSET', item.key, 'tat', text(now + item.held))
      remember(item, now + item.held)
    end
  elseif item.ends > now then
    if is_lost or (item.kind ~= 'p' and item.acked > item.seen) then
      redis.call('HSET', item.key, 'settling', text(now + lease))
      remember(item, now + lease)
      lost = now
      redis.call('ZADD', register, text(-now), 'lost')
    end
  end
end

-- What replicas say of themselves is the truth.
local function write(item)
  local value = text(item.held) .. ' ' .. text(item.used) .. ' ' .. text(seq)
  redis.call('HSET', item.key, item.field, value .. ' ' .. text(item.ends))
  remember(item, item.ends)
end
for _, item in ipairs(items) do
  if item.kind ~= 'c' and item.ends > now then
    write(item)
  end
end

local function look_at_cells(item)
  local tat = tonumber(redis.call('HGET', item.key, 'tat') or '0')
  local latest = now + item.held
  item.tat = math.min(math.max(tat, now), latest)
  item.room = math.floor((latest - item.tat) / item.limit)
  item.is_short = item.need > item.room
end

local function look_at_rows(item)
  local rows = redis.call('HGETALL', item.key)
  item.others_held, item.others_used = 0, 0
  for n = 1, #rows, 2 do
    local field, value = rows[n], rows[n + 1]
    if field == 'settling' then
      item.settling = tonumber(value) > now
    else
      local held, used, _, ends = row(value)
      local slot = string.match(field, '^(%d+):')
      if ends <= now then
        redis.call('HDEL', item.key, field)
      elseif field ~= item.field and (item.kind ~= 'w' or slot == item.slot) then
        item.others_held = math.min(MAX, item.others_held + held)
        item.others_used = math.min(MAX, item.others_used + used)
      end
    end
  end
  item.room = item.limit - item.others_held
  item.is_short = item.need > item.held and item.need > item.room
end

local status = GRANTED
local is_new = now < epoch + lease
for _, item in ipairs(items) do
  if item.kind == 'c' then
    look_at_cells(item)
  else
    look_at_rows(item)
  end
  if item.high > 0 and (is_new or item.settling) then
    status = SETTLING
  elseif item.is_short and status == GRANTED then
    status = SHORT
  end
end

local reply = { status, lost, now }
for _, item in ipairs(items) do
  local raises = status == GRANTED and item.high > 0
  if item.kind == 'c' then
    local granted = 0
    if raises then
      granted = math.min(item.room, item.high)
      item.tat = item.tat + granted * item.limit
      redis.call('HSET', item.key, 'tat', text(item.tat))
      remember(item, item.tat)
    end
    reply[#reply + 1] = granted
    reply[#reply + 1] = item.tat
    reply[#reply + 1] = 0
  else
    if raises and item.ends > now then
      local need = math.max(item.need, item.held)
      local slice = math.floor(math.max(item.room - need, 0) / SHARE)
      slice = math.min(math.max(slice, item.low), item.high)
      local held = math.min(item.room, math.min(MAX, need + slice))
      if held > item.held then
        item.held = held
        write(item)
      end
    end
    reply[#reply + 1] = item.held
    reply[#reply + 1] = item.others_held
    reply[#reply + 1] = item.others_used
  end
end
return reply
