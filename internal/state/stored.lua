-- What was told last of one deployment, for those that did not hear it.
--
-- KEYS[1]  a string
-- ARGV     the most bytes that are read
-- Answers the milliseconds that are left of it and the value; nothing without one.
local size = redis.call('STRLEN', KEYS[1])
if size > tonumber(ARGV[1]) then
	return 'foreign'
elseif size == 0 then
	return ''
end
return redis.call('PTTL', KEYS[1]) .. ' ' .. redis.call('GET', KEYS[1])
