"""The tests of the whole platform. A package, so that what its tests share ends with the last of them."""
