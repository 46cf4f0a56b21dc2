"""Compression passes on torch modules. This release has the mechanism and no pass yet.

A pass is registered in two places with one name: its options in ``toolchain.project.steps.STEPS``, so that
a project file is checked without torch, and its function in ``toolchain.compress.recipe.PASSES``.
"""
