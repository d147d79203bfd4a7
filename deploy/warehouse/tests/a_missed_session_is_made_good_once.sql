-- MISS-2: the credit of a missed session returns at most once, by the miss itself. Whether it has returned yet depends on the moment.
select session_id, count(*) as times
from {{ ref('stg_credits__ledger') }}
where fact = 'CreditReturned' and cause = 'provider_missed'
group by session_id
having count(*) > 1
