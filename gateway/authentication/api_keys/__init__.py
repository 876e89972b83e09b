"""API keys: made by the operator, kept in the database, known to every worker that meets one.

key        what a key looks like
record     a key's row, as a worker judges by it
queries    what a worker asks the database
known      the keys a worker remembers, and for how long they may be believed
watch      the thread that finds out what changed
verifier   from a key to an Identity, or to the reason why not
schemes    where a key stands in a request: a header, or a basic password
keeping    making, rotating and revoking keys: what `flask gateway keys` does
"""
