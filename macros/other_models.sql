{#
    Days on which a name means another model now than when they were built. Each name is looked up
    once, however many days have it.
#}
{% macro days_of_other_models(names='unnest(model_names)') -%}
    {%- if execute and is_incremental() -%}
    select called.usage_date
    from (
        select distinct
            usage_date,
            llm_model,
            {{ names }} as model_name
        from {{ this }}
    ) as called
    inner join (
        select
            model_name,
            coalesce(ledger.canonical_model(model_name), model_name) as llm_model
        from (
            select distinct {{ names }} as model_name
            from {{ this }}
        ) as names
    ) as meant using (model_name)
    where called.llm_model <> meant.llm_model
    {%- endif -%}
{%- endmacro %}
