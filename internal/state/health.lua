-- What a health check found, told to all instances.
--
-- KEYS[1]  a string: the result
-- ARGV     channel, message, value, milliseconds to believe it
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
