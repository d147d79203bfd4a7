"""The tables of the access log, the same in every service, and the statements that write and read them.

access_rows: one row per access, never changed. access_remarks: the free text of its reason, which an erasure can
remove. access_unsealed: rows that the chain does not have yet. access_seals: the chain, one link per row, never
changed.
"""

from __future__ import annotations

from typing import Final

SCHEMA: Final = """
CREATE TABLE access_rows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    caller text NOT NULL,
    role text NOT NULL,
    operation text NOT NULL,
    person_id text NOT NULL,
    entity text,
    reason text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX access_rows_by_person ON access_rows (person_id, id);
CREATE INDEX access_rows_by_age ON access_rows USING brin (at);
COMMENT ON TABLE access_rows IS 'Who read or changed what of whom, when and why (SEC-5). Kept for ACCESS_RETENTION.';
CREATE FUNCTION refuse_change_of_access_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was written down of an access is never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER access_rows_stay BEFORE UPDATE ON access_rows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_access_rows();
"""
"""The first migration of an access log."""

CHAIN: Final = """
ALTER TABLE access_rows
    ALTER person_id DROP NOT NULL,
    ALTER reason DROP NOT NULL,
    ADD outcome text NOT NULL DEFAULT 'shown' CHECK (outcome IN ('shown', 'changed', 'refused')),
    ADD times integer NOT NULL DEFAULT 1 CHECK (times > 0),
    ADD remark_digest bytea;
CREATE TABLE access_remarks (
    row_id bigint PRIMARY KEY,
    salt bytea NOT NULL,
    remark text NOT NULL
);
CREATE INDEX access_remarks_by_salt ON access_remarks (salt);
COMMENT ON TABLE access_remarks IS 'What callers said beside their reason. The row has its digest, so that it can be erased.';
ALTER TABLE access_rows DISABLE TRIGGER access_rows_stay;
WITH salted AS (
    SELECT id, reason, uuid_send(gen_random_uuid()) AS salt FROM access_rows WHERE reason <> operation
), kept AS (
    INSERT INTO access_remarks (row_id, salt, remark) SELECT id, salt, reason FROM salted
)
UPDATE access_rows SET remark_digest = sha256(salt || convert_to(salted.reason, 'UTF8'))
FROM salted WHERE salted.id = access_rows.id;
UPDATE access_rows SET reason = NULL, outcome = CASE WHEN operation ~ '[.](read|list|export)$' THEN 'shown' ELSE 'changed' END;
ALTER TABLE access_rows ENABLE TRIGGER access_rows_stay;

CREATE TABLE access_unsealed (
    row_id bigint PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO access_unsealed (row_id) SELECT id FROM access_rows;
CREATE FUNCTION await_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO access_unsealed (row_id) SELECT id FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER access_rows_await_their_seal AFTER INSERT ON access_rows REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION await_seal();

CREATE TABLE access_seals (
    number bigint PRIMARY KEY,
    row_id bigint NOT NULL UNIQUE,
    row_hash bytea NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE access_seals IS 'The chain over access_rows: hash = SHA-256(hash of the one before, then the row).';
CREATE TRIGGER access_seals_stay BEFORE UPDATE ON access_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_access_rows();
"""
"""The second migration: refusals, reasons by code, and the chain. Processes of the earlier release may still write rows
while it is applied.
"""

COLUMNS: Final = "id, at, caller, role, operation, person_id, entity, outcome, reason, remark_digest, times, request_id"
"""The columns that the chain protects, in this order."""

RECORD: Final = """
WITH rows AS (
    INSERT INTO access_rows
        (caller, role, operation, person_id, entity, outcome, reason, remark_digest, times, request_id)
    SELECT $1, $2, $3, about.person_id, about.entity, $6, $7, $8, $11, $12
    FROM unnest($4::text[], $5::text[]) AS about (person_id, entity)
    RETURNING id
)
INSERT INTO access_remarks (row_id, salt, remark) SELECT id, $9::bytea, $10 FROM rows WHERE $10::text IS NOT NULL
"""
RECORD_MANY: Final = """
INSERT INTO access_rows (caller, role, operation, person_id, entity, outcome, reason, times, request_id)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[]
)
"""
"""Rows of many requests that gave no remark: one array for each column."""
READ: Final = """
SELECT id, at, caller, role, operation, person_id, entity, outcome, reason, remark, times, request_id
FROM access_rows LEFT JOIN access_remarks ON row_id = id
WHERE person_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
"""
ERASE_REMARKS: Final = """
DELETE FROM access_remarks WHERE salt IN (
    SELECT salt FROM access_remarks JOIN access_rows ON id = row_id WHERE person_id = ANY($1::text[])
)
"""
"""What an erasure removes from the access log: the free texts. The rows of one request share a salt, whoever they are
about.
"""
