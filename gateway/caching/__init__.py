"""Answers kept and used again: what RFC 9111, 5861, 9211 and 9213 allow, and nobody's for another.

policy value      gateway/policies/cache.py     the options
handler           what is done with a request: answer it, ask for it, let it pass
visit             a request on its way through
asking            the upstream, and keeping what it answers; revalidating: of what is kept
refreshing        asking beside the requests, while something stale is used
collapsing        one upstream request for many who ask at the same time
invalidating      what an unsafe request drops
answers           what clients are told of the cache
storing           where things are kept, and what is kept of an answer
keys              for whom and for what an answer is
directives        Cache-Control and its kin, read
freshness         may it be kept, for how long is it fresh, may it be used
conditions        validators, 304, and ranges of a kept body
entry             what is kept, as bytes
store             where it is kept: the seam; embedded, redis_store, memory, tiers, fallback
records           answers in the tables of the embedded store; claims: who asks upstream, there
names             what answers are dropped by, as the stores keep it
purging           what operators drop
"""
