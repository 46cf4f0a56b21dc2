"""Keys, roles and the signed repository (The Update Framework, by python-tuf)."""
