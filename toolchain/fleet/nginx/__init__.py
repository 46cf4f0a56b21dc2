"""A production configuration for nginx: the static repository, and the check-in API behind it."""
