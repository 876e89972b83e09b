"""Real gateways in front of real backends that misbehave."""
