"""Engines that a device keeps."""
