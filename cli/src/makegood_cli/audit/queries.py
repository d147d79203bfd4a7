"""The queries for each database. All queries of a database run in one transaction, so they see the same moment."""

from __future__ import annotations

NOW = "SELECT clock_timestamp() + make_interval(secs => offset_seconds) AS now FROM clock"
"""The service's product time."""

SESSIONS = """
SELECT s.id::text, s.status, s.version, s.member_id, s.provider_id, s.venue_id, s.starts_at, s.ends_at, s.confirm_by, s.requested_at,
    s.credit_state, s.moved_at_short_notice, d.due_at, s.move->>'id' AS move_id, s.move->>'state' AS move_state,
    (s.move->>'decide_by')::timestamptz AS decide_by,
    EXISTS (SELECT FROM session_notes n WHERE n.session_id = s.id AND n.kind = 'correction') AS corrected,
    CASE s.status
        WHEN 'requested' THEN s.requested_at + make_interval(mins => (p.numbers->>'decide_minutes')::int)
        WHEN 'reserved' THEN s.confirm_by
        WHEN 'confirmed' THEN CASE
            WHEN s.together_since IS NOT NULL THEN s.starts_at
            WHEN s.outcome_asked THEN s.ends_at + make_interval(hours => (p.numbers->>'answer_hours')::int)
            WHEN s.modality = 'in_person' AND NOT waits.somebody_came THEN s.ends_at
            WHEN s.provider_joined_at IS NULL OR s.provider_left_at < s.starts_at THEN waits.grace_ends
            WHEN s.provider_left_at < waits.no_show OR s.member_joined_at IS NULL OR s.member_left_at < s.starts_at
                THEN waits.no_show
            ELSE greatest(s.ends_at, waits.no_show) END
        WHEN 'in_session' THEN greatest(s.ends_at, waits.grace_ends)
    END AS moment
FROM sessions s
LEFT JOIN policies p ON p.version = s.policy_version
LEFT JOIN deadlines d ON d.kind = 'session' AND d.entity_id = s.id::text
CROSS JOIN LATERAL (SELECT s.starts_at + make_interval(mins => (p.numbers->>'grace_minutes')::int) AS grace_ends,
    s.starts_at + make_interval(mins => (p.numbers->>'no_show_minutes')::int) AS no_show,
    coalesce(s.member_joined_at < s.starts_at + make_interval(mins => (p.numbers->>'grace_minutes')::int)
        AND s.member_left_at >= s.starts_at IS NOT false, false)
    OR coalesce(s.provider_joined_at < s.starts_at + make_interval(mins => (p.numbers->>'grace_minutes')::int)
        AND s.provider_left_at >= s.starts_at IS NOT false, false) AS somebody_came) AS waits
"""
"""`moment`: when the session's next automatic step is due; `due_at`: when booking has its deadline. `move_…`: the move or
extension that is being decided or was refused. `corrected`: support corrected the outcome (MISS-5)."""

DEBTORS = "SELECT DISTINCT member_id FROM overdue_invoices WHERE owed"
"""Members with overdue charges, as far as booking knows."""

ROOMS = "SELECT id::text, version, status, member_id, provider_id, created_at, last_activity_at FROM rooms"

LATE_DEADLINES = """
SELECT kind, entity_id, attempts, extract(epoch FROM present.now - due_at)::float8 AS overdue
FROM deadlines, (SELECT clock_timestamp() + make_interval(secs => offset_seconds) AS now FROM clock) AS present
WHERE attempts > 0 OR due_at < present.now - interval '1 minute'
"""

OUTBOX = """
SELECT count(*) AS unsent, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS age FROM outbox
"""

SLOT_HOLDS = """
SELECT session_id::text, provider_id, member_id, venue_id, starts_at, ends_at, hold_until, live, firm, sequence,
    offered_to IS NOT NULL AS is_offer
FROM slot_holds
WHERE offered_to IS NULL
"""

# If any two spans of a key overlap, then two neighbours in order of start do. So one sort finds the keys with overlaps, and
# the pairs are searched only among those: 10^6 rows take seconds, however the planner estimates ranges.
OVERLAPS = """
WITH claims AS MATERIALIZED (
    SELECT 1 AS whose, provider_key AS key, blocked AS span, session_id FROM slot_holds WHERE live
    UNION ALL
    SELECT 2, member_key, tstzrange(starts_at, ends_at), session_id FROM slot_holds WHERE live
    UNION ALL
    SELECT 3, hashtextextended(venue_id, 0), tstzrange(starts_at, ends_at), session_id
    FROM slot_holds WHERE live AND venue_id IS NOT NULL
), crowded AS MATERIALIZED (
    SELECT DISTINCT whose, key FROM (
        SELECT whose, key, span && lag(span) OVER (PARTITION BY whose, key ORDER BY lower(span)) AS meets FROM claims
    ) AS neighbours WHERE meets
), concerned AS MATERIALIZED (SELECT claims.* FROM claims JOIN crowded USING (whose, key))
SELECT DISTINCT a.session_id::text AS one, b.session_id::text AS other
FROM concerned a JOIN concerned b ON a.whose = b.whose AND a.key = b.key AND a.session_id < b.session_id
    AND a.span && b.span
"""

SCHEDULES = "SELECT provider_id, sequence AS version FROM schedules"

OFFERS = """
SELECT coalesce(w.id, h.entry_id)::text AS entry_id, w.id IS NOT NULL AS offered, h.entry_id IS NOT NULL AS held
FROM (SELECT id FROM waitlist WHERE (status = 'offered' OR proposal_id IS NOT NULL) AND session_id IS NULL) AS w
FULL JOIN (SELECT entry_id FROM slot_holds WHERE live AND offered_to IS NOT NULL) AS h ON h.entry_id = w.id
WHERE w.id IS NULL OR h.entry_id IS NULL
"""
"""Waitlist offers and candidates without a slot hold, and slot holds without an offer or candidate."""

CANDIDATES = "SELECT id::text AS entry_id, lapses_at AS decide_by FROM waitlist WHERE proposal_id IS NOT NULL"
"""Waitlist entries that wait for booking to judge whether their member could book a slot."""

AWAITED = "SELECT id::text AS entry_id, member_id, provider_id FROM waitlist WHERE status IN ('waiting', 'offered')"

PUBLISHED = "SELECT provider_id, changed_at FROM schedules WHERE published"

ERASED = "SELECT person_id, erased_at FROM erasures WHERE NOT EXISTS (SELECT FROM people WHERE people.id = erasures.person_id)"
"""People who were erased and have not registered again."""

CREDIT_HOLDS = """
SELECT holds.session_id::text, holds.member_id, holds.state, holds.hold_until, holds.firm, holds.answers,
    holds.lot_id IS NOT NULL AS is_credit, invoices.status AS invoice,
    invoices.voided_by IS NOT NULL AS waived, back.debit_account AS returned_from
FROM holds
LEFT JOIN invoices ON invoices.id = holds.invoice_id
LEFT JOIN (
    SELECT DISTINCT ON (hold_id) hold_id, debit_account, credit_account FROM ledger_entries
    WHERE hold_id IS NOT NULL AND kind <> 'hold' AND 'platform:adjusted' NOT IN (debit_account, credit_account)
    ORDER BY hold_id, number DESC
) AS back ON back.hold_id = holds.id AND back.credit_account = 'member:available'
"""
"""`waived`: support has voided the co-pay, which it may at any time (CRED-7). `returned_from`: the account that the credit was returned from, which is `member:held` unless support returned it later. It
is also NULL if a corrected outcome took the credit away again (MISS-5)."""

ADDED_HOLDS = """
SELECT move_id::text, session_id::text, member_id, hold_until, firm FROM move_holds WHERE state = 'held'
"""
"""Second holds of sessions, for moves that are being decided (RESC-1)."""

INVOICES = """
SELECT id::text, session_id::text, member_id, status, overdue_at,
    status = 'void' AND EXISTS (SELECT FROM checkouts c WHERE c.invoice_id = invoices.id AND c.state = 'paid'
        AND NOT EXISTS (SELECT FROM refunds r WHERE r.checkout_id = c.id)) AS kept,
    id IN (SELECT invoice_id FROM move_holds WHERE state = 'forfeited' AND invoice_id IS NOT NULL) AS moved_late
FROM invoices WHERE status IN ('issued', 'overdue') OR session_id IS NOT NULL
"""
"""`kept`: nothing is owed, but a payment was not refunded and no refund is planned. `moved_late`: the co-pay was forfeited by a
move at short notice (RESC-1)."""

ACCOUNTS = "SELECT member_id, ledger_sequence, enrolment_sequence FROM accounts"

SETTLEMENTS = """
SELECT min(session_id::text) AS session_id, count(*) AS times FROM ledger_entries
WHERE debit_account = 'member:held' GROUP BY hold_id HAVING count(*) > 1
"""

RETURNS = """
SELECT min(session_id::text) AS session_id, count(*) AS times FROM ledger_entries
WHERE kind = 'return' GROUP BY hold_id HAVING count(*) > 1
"""

LAPSED_RETURNS = """
SELECT back.session_id::text FROM ledger_entries AS back
JOIN ledger_entries AS gone ON gone.member_id = back.member_id AND gone.number = back.number + 1
JOIN holds ON holds.id = back.hold_id
WHERE back.kind = 'return' AND gone.kind = 'expire' AND gone.debit_lot = back.credit_lot AND gone.made_at = back.made_at
    AND holds.length_minutes IS NOT NULL
"""
"""Sessions whose credit expired as soon as it was returned (MISS-2). Holds of releases that did not store a length are
exempt."""

GUARANTEES = """
SELECT lots.id::text, lots.expires_at, promised.until, jsonb_array_length(lots.guarantees) > lots.available AS too_many
FROM lots, LATERAL (
    SELECT max((g->>'until')::timestamptz) AS until FROM jsonb_array_elements(lots.guarantees) AS g
    WHERE g->>'lot_id' = lots.id::text
) AS promised
WHERE lots.guarantees IS NOT NULL AND (lots.expires_at < promised.until OR jsonb_array_length(lots.guarantees) > lots.available)
"""
"""Lots that expire before a guarantee of one of their credits ends, or that have fewer credits than guarantees (MISS-4)."""

UNUSED_PAYMENTS = """
SELECT checkouts.id::text, checkouts.member_id FROM checkouts JOIN purchases ON purchases.id = checkouts.purchase_id
WHERE checkouts.state = 'paid' AND purchases.lot_id IS NULL
    AND NOT EXISTS (SELECT FROM refunds WHERE refunds.checkout_id = checkouts.id)
"""
"""Payments that led to neither credits nor a refund (CRED-6)."""

IMBALANCES = "SELECT what, id, available, held, available_entered, held_entered FROM ledger_imbalances"

MISSED_EMAILS = """
SELECT deliveries.session_id::text, deliveries.status, deliveries.reason, people.id IS NOT NULL AS has_address
FROM deliveries LEFT JOIN people ON people.id = deliveries.person_id
WHERE deliveries.channel = 'email' AND deliveries.template = 'provider-missed'
"""

FINISHED_DELIVERIES = "SELECT id::text, status FROM deliveries WHERE status IN ('sent', 'failed')"

WITHDRAWN = "SELECT event_id::text FROM inbox WHERE state = 'withdrawn'"
"""Events that a restore left behind on the topics (decision 45)."""
