"""What caches owe to the RFCs, case by case; `tests.caching.script` says what a case is."""
