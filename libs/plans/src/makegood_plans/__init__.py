"""What a plan pays for. Credits decides with it and booking predicts with it, so that they always agree (PLAN-1,
BOOK-7, BOOK-8).
"""
