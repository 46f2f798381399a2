"""What the server does for a durable log, each in one step that nothing comes between.

A log named K has three keys. ``{K}:state`` is a hash: its ``owner``, how many entries were
``written`` and ``handed`` out, and their ``total`` once it has ended. ``{K}:entries`` is a stream
of batches not acknowledged; the ID of a batch is one more than the position of its first entry.
``{K}:lease`` is the owner, for as long as it is alive. The braces keep them together in a cluster.

All but `TAKE` do nothing and return nil for anyone but the owner.
"""

from __future__ import annotations

__all__ = ["ACKNOWLEDGE", "APPEND", "END", "NEXT", "RELEASE", "RENEW", "TAKE"]

_OWNED = """
local state, entries, lease = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', state, 'owner') ~= ARGV[1] then return false end
"""

#: token, milliseconds, a holder that is dead or '' -> the holder and how long its lease lasts, if
#: another one has it; else '', written, handed, total (or -1) and the number of batches there, and
#: each root with the position up to which it is kept.
TAKE = """
local state, entries, lease = KEYS[1], KEYS[2], KEYS[3]
local holder = redis.call('GET', lease)
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
    return {holder, redis.call('PTTL', lease)}
end
redis.call('SET', lease, ARGV[1], 'PX', ARGV[2])
redis.call('HSET', state, 'owner', ARGV[1])
local facts = redis.call('HMGET', state, 'written', 'handed', 'total')
local lying = redis.call('XLEN', entries)
local reply = {'', facts[1] or '0', facts[2] or '0', facts[3] or '-1', lying}
local all = redis.call('HGETALL', state)
for place = 1, #all, 2 do
    local root = string.match(all[place], '^kept:(.*)$')
    if root then
        table.insert(reply, root)
        table.insert(reply, all[place + 1])
    end
end
return reply
"""

#: token, milliseconds -> 1. An owner that was silent for long stays it, if nobody else came.
RENEW = f"""{_OWNED}
redis.call('SET', lease, ARGV[1], 'PX', ARGV[2])
return 1
"""

#: token, first, count, id, data, and where it was made of what is known a root and the position up
#: to which that is kept now -> written.
APPEND = f"""{_OWNED}
local written = redis.call('HGET', state, 'written') or '0'
if written == ARGV[2] then
    redis.call('XADD', entries, ARGV[4], 'count', ARGV[3], 'data', ARGV[5])
    redis.call('HINCRBY', state, 'written', ARGV[3])
    if ARGV[6] then redis.call('HSET', state, 'kept:' .. ARGV[6], ARGV[7]) end
    written = redis.call('HGET', state, 'written')
end
return written
"""

#: token, total -> written; the end is noted where that is the total.
END = f"""{_OWNED}
local written = redis.call('HGET', state, 'written') or '0'
if written == ARGV[2] then redis.call('HSET', state, 'total', ARGV[2]) end
return written
"""

#: token, the lowest ID -> at most one entry; who comes after this owner knows that it was out.
NEXT = f"""{_OWNED}
local found = redis.call('XRANGE', entries, ARGV[2], '+', 'COUNT', 1)
local position = found[1] and string.match(found[1][1], '^%d+')
if position and tonumber(position) > tonumber(redis.call('HGET', state, 'handed') or 0) then
    redis.call('HSET', state, 'handed', position)
end
return found
"""

#: token, id -> 1.
ACKNOWLEDGE = f"""{_OWNED}
redis.call('XDEL', entries, ARGV[2])
return 1
"""

#: token, 1 to leave nothing behind -> 1.
RELEASE = f"""{_OWNED}
redis.call('DEL', lease)
if ARGV[2] == '1' then redis.call('DEL', state, entries) end
return 1
"""
