"""What would become of a request, told without sending it: `flask gateway explain`.

    described   what the operator types, read by the server's own parser
    case        one request on its way through the rooms, and what was found out there
    routing     which rule it matches, and why others lost
    callers     who asks, and whether that may; limiting: which limits apply, and what is left
    chain       the policies one by one, up to the target
    sending     the target, and what it would be sent; masking: what must not be shown
    declared    versions and filters
    explain     the order of all that; words: the same for people

The parts that serve requests decide here, too: nothing is decided a second time in another way.
What they would count, keep, ask or send is left out. Loaded by commands alone.
"""
