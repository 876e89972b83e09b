"""What happened: request ids and the access log."""
