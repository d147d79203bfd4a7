"""What a plan pays for. Pure, so that credits, which decides, and booking, which foretells, always agree (PLAN-1, BOOK-7, BOOK-8)."""
