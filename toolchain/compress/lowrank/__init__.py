"""Low rank: layers become products of smaller plain layers. The modules below need torch."""
