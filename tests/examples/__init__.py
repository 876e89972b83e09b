"""Tests of the example backends and of the pieces of the first run."""
