{#
    A list to save work by, which need not be whole: who does not find a name in it asks
    `ledger.canonical_model`. So a run looks at what changed since the last one.
    Views read it, so that it is never dropped.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        full_refresh=false,
        pre_hook='{{ begin_build() }}',
        post_hook=['analyze {{ this }}', '{{ remember_what_was_seen() }}'],
    )
}}

with

audit_logs as (

    select * from {{ ref('stg_audit_logs') }}
    {% if is_incremental() %}
        where change_xid >= {{ seen_until() }}
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
