-- The cooldown of one deployment, told to all instances.
--
-- KEYS[1]  a string: what the message says, for those that did not hear it
-- ARGV     channel, message, value, milliseconds left (0: it is over), and the
--          most that is believed of what is stored
local left, stored = tonumber(ARGV[4]), redis.call('PTTL', KEYS[1])
if left == 0 then
	redis.call('DEL', KEYS[1])
elseif stored < left or stored > tonumber(ARGV[5]) then -- the later end holds
	redis.call('SET', KEYS[1], ARGV[3], 'PX', left)
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
