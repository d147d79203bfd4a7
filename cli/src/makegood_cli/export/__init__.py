"""Topics as typed tables: `makegood topics export`. Needs the extra `data` (`make data`).

`reading` takes records from Kafka, `converting` turns them into rows, and one of the stores (`parquet`, `duck`, `iceberg`)
keeps the rows together with the offsets up to which it has them.
"""
