"""State topics: the latest state of each entity, published from the service's own tables.

A trigger marks every entity whose published columns change, in the same transaction. The relay's leader reads what is marked and
sends it: the present row, or a tombstone. So nothing is forgotten, whoever changes a row, and an older state never replaces a newer
one. An entity that changes several times in a moment is sent once.
"""
