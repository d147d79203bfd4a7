"""`makegood generate-year`: a year of a platform that never was, made by the services' own rules, without their servers."""
