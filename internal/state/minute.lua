-- The sliding minute of one deployment, over all instances.
--
-- KEYS[1]  a hash: r<second> requests, t<second> tokens, b<taker> the last batch
--          of a taker and its second, seconds by the clock of this server
-- ARGV     taker, batch number (0: not a batch), microsecond after which nobody
--          waits for the answer any more (0: never), rpm, tpm (0: no limit), and
--          what to add: age, requests, tokens, ...
--
-- With limits, adds only what fits, and answers
--   ok <microsecond> <foreign fields>  or  full <microsecond> <foreign fields> <wait>
-- Without, adds a batch once however often it comes, and answers
--   ok <microsecond> <foreign fields> <age> <requests> <tokens> ...
-- with the oldest second first. Answers late or foreign when nothing was done.
local SECONDS, KEEP, LARGEST, FIELDS = 61, 180, 1e15, 1000

local key, taker, batch, deadline = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rpm, tpm = tonumber(ARGV[4]), tonumber(ARGV[5])
local limited = rpm > 0 or tpm > 0

local time = redis.call('TIME')
local now, micros = tonumber(time[1]), tonumber(time[2])
local stamp = string.format('%.0f', now * 1e6 + micros)
if deadline > 0 and now * 1e6 + micros > deadline then
	return 'late'
end
if redis.call('HLEN', key) > FIELDS then
	return 'foreign'
end

local requests, tokens, gone, foreign, known, future = {}, {}, {}, 0, 0, false
for age = 0, SECONDS - 1 do
	requests[age], tokens[age] = 0, 0
end
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
	local name, value = fields[i], fields[i + 1]
	local kind, second, n = string.sub(name, 1, 1), tonumber(string.sub(name, 2)), tonumber(value)
	if kind == 'b' then
		local last, at = string.match(value, '^(%d+) (%d+)$')
		if last == nil then
			foreign = foreign + 1
			gone[#gone + 1] = name
		elseif name == 'b' .. taker then
			known = tonumber(last)
		elseif tonumber(at) < now - KEEP then
			gone[#gone + 1] = name
		end
	elseif (kind ~= 'r' and kind ~= 't') or second == nil or n == nil or n ~= math.floor(n) or math.abs(n) > LARGEST then
		foreign = foreign + 1
		gone[#gone + 1] = name
	elseif second <= now - SECONDS or second > now + SECONDS then
		gone[#gone + 1] = name
	else
		if second > now then -- from before the clock was set back: counts as now
			future, second = true, now
			gone[#gone + 1] = name
		end
		local of = kind == 'r' and requests or tokens
		of[now - second] = of[now - second] + n
	end
end
if #gone > 0 then
	redis.call('HDEL', key, unpack(gone))
end

local function write(ages, ...)
	local writes = { ... }
	for age in pairs(ages) do
		local second = string.format('%.0f', now - age)
		writes[#writes + 1] = 'r' .. second
		writes[#writes + 1] = string.format('%.0f', requests[age])
		writes[#writes + 1] = 't' .. second
		writes[#writes + 1] = string.format('%.0f', tokens[age])
	end
	redis.call('HSET', key, unpack(writes))
	redis.call('EXPIRE', key, KEEP)
end
if future then
	write({ [0] = true })
end

local function answer(word, ...)
	return table.concat({ word, stamp, foreign, ... }, ' ')
end

if limited then
	local sent, used, moreRequests, moreTokens = 0, 0, 0, 0
	for age = 0, SECONDS - 1 do
		sent, used = sent + requests[age], used + tokens[age]
	end
	for i = 6, #ARGV, 3 do
		moreRequests, moreTokens = moreRequests + tonumber(ARGV[i + 1]), moreTokens + tonumber(ARGV[i + 2])
	end
	-- What is larger than the whole limit passes when nothing else was used: the
	-- upstream is the better judge of what it cannot do.
	local function fits()
		return (rpm == 0 or sent + moreRequests <= rpm) and (tpm == 0 or used + moreTokens <= tpm or used <= 0)
	end
	if not fits() then
		local wait = SECONDS * 1e6
		for age = SECONDS - 1, 0, -1 do
			sent, used = sent - requests[age], used - tokens[age]
			if fits() then
				wait = (SECONDS - age) * 1e6 - micros
				break
			end
		end
		return answer('full', string.format('%.0f', wait))
	end
end

if #ARGV > 5 and (batch == 0 or batch > known) then
	local changed = {}
	for i = 6, #ARGV, 3 do
		local age = tonumber(ARGV[i])
		requests[age] = requests[age] + tonumber(ARGV[i + 1])
		tokens[age] = tokens[age] + tonumber(ARGV[i + 2])
		changed[age] = true
	end
	if batch > 0 then
		write(changed, 'b' .. taker, string.format('%.0f %.0f', batch, now))
	else
		write(changed)
	end
end

if limited then
	return answer('ok')
end
local minute = {}
for age = SECONDS - 1, 0, -1 do
	if requests[age] ~= 0 or tokens[age] ~= 0 then
		minute[#minute + 1] = string.format('%d %.0f %.0f', age, requests[age], tokens[age])
	end
end
return answer('ok', unpack(minute))
