"""Documentation that follows from code: tables between markers, and the commands and snippets that tests run.

``python -m tools.docs`` says which pages are stale, ``python -m tools.docs --write`` rewrites them.
"""
