"""Unstructured and semi-structured sparsity: single weights become zero, shapes stay.

Masks are parametrizations while a method works (:mod:`.masks`), trained around by hooks (:mod:`.training`), and
folded into plain weights at the end. Which weights go is decided in :mod:`.selection`, when in :mod:`.schedules`.
"""
