"""Compile, link, look into, and talk to firmware."""
