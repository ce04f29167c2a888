-- The deployment that a session is on, told to all instances.
--
-- KEYS[1]  a string: the deployment
-- ARGV     channel, message, deployment, milliseconds to keep it, 1 when the session
--          was new to the instance that tells, and the most bytes that are read
-- Answers the deployment that others have it on already, of a session that was new;
-- nothing otherwise.
if ARGV[5] == '1' then
	local size = redis.call('STRLEN', KEYS[1])
	if size > 0 and size <= tonumber(ARGV[6]) then
		redis.call('PEXPIRE', KEYS[1], ARGV[4])
		return redis.call('GET', KEYS[1])
	end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return ''
