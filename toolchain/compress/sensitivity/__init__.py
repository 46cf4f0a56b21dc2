"""How accuracy falls when one layer is pruned or factorised, and nothing else (Li et al. 2017, arXiv:1608.08710, 3.2).

What a layer loses alone says where to take from, not what a recipe ends with: layers depend on each other, and
recovery is left out. Scored on training samples, because decisions must not see the test part.
"""
