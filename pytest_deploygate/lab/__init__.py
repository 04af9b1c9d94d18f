"""The demo platform: real servers on loopback, named faults, and the way back. Only the command line knows it."""
