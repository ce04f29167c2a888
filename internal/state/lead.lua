-- The lease of the instance that checks a deployment's health.
--
-- KEYS[1]  a string: the instance
-- ARGV     instance, milliseconds
local leader = redis.call('GET', KEYS[1])
if not leader then
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
	return 1
elseif leader == ARGV[1] then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
	return 1
end
return 0
