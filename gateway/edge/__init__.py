"""The door: what is checked and settled about a request before anybody asks who sent it."""
