"""Answers made of what several services say: legs asked side by side, within one budget of time.

leg           what one service is asked, and what becomes of a failure
leg_path      its path, and what clients say put into it
outline       the request of a leg, made of the client's
dispatcher    the service's chain for it
keeping       a cache around that, of the leg's own
asking        a leg on its way, and its answer read
access        whether the caller may ask the service itself
failing       what the client is told when a needed part is missing
gathering     `gather`: legs that wait for each other, started when what they need is there
answer        what came of it, and the response made of it
"""
