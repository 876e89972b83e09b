"""Which of several instances gets a request."""

from gateway.upstreams.load_balancing.choice import Chooser, LoadBalancing
from gateway.upstreams.load_balancing.power_of_two import PowerOfTwo
from gateway.upstreams.load_balancing.round_robin import RoundRobin

__all__ = ["Chooser", "LoadBalancing", "PowerOfTwo", "RoundRobin"]
