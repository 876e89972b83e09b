"""How many requests at the same time: slots that a request holds until its response is over.

`limits` is what is declared, `deciding` takes the slots of a request, `slots` says what a store of
them is, and `opening` chooses one by the settings.
"""
