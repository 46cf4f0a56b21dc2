"""The push path: an Ansible collection, ``edgewright.fleet``, and how our own commands call Ansible with it."""
