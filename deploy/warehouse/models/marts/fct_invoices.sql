-- One row for each charge that was ever due or became void. Money is in minor units.
select
    invoice_id,
    any_value(member_id) as member_id,
    any_value(session_id) as session_id,
    arg_max(
        case fact when 'InvoiceIssued' then 'issued' when 'InvoicePaid' then 'paid' when 'InvoiceOverdue' then 'overdue' when 'InvoiceVoided' then 'void' end,
        ce_sequence
    ) as status,
    arg_max(amount_minor, ce_sequence) as amount_minor,
    arg_max(currency, ce_sequence) as currency,
    max(about) as about,
    max(due_on) as due_on,
    max(paid_at) as paid_at,
    min(ce_time) filter (fact = 'InvoiceVoided') as voided_at,
    arg_max(cause, ce_sequence) filter (fact = 'InvoiceVoided') as void_cause
from {{ ref('stg_credits__ledger') }}
where fact in ('InvoiceIssued', 'InvoicePaid', 'InvoiceOverdue', 'InvoiceVoided')
group by invoice_id
