"""The gateway's options, a file for each room. `settings.py` puts them together."""
