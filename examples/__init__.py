"""Small real backends and a supervisor that runs them behind the gateway: `make run`."""
