{#
    A list to save work by, which need not be whole: who does not find a name in it asks
    `ledger.canonical_model`. So a run looks at what lately changed, whatever the history.
    Views read it, so that it is never dropped.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        full_refresh=false,
        post_hook='analyze {{ this }}',
    )
}}

with

audit_logs as (

    select * from {{ ref('stg_audit_logs') }}
    {% if is_incremental() %}
        where change_xid >= {{ transactions_ago(100000) }}
    {% endif %}

),

met as (

    select distinct nullif(btrim(llm_model), '') as model_name from audit_logs

),

final as (

    select model_name

    from met
    where
        model_name is not null
        {% if is_incremental() %}
            and model_name not in (select this.model_name from {{ this }} as this)
        {% endif %}

)

select * from final
