{% macro build_table(name) -%}
    {{ return(api.Relation.create(database=this.database, schema=this.schema, identifier=name)) }}
{%- endmacro %}


{% macro is_built(name) -%}
    {{ return(adapter.get_relation(this.database, this.schema, name) is not none) }}
{%- endmacro %}


{#
    The first statement of a mart: everything that it reads and writes is one snapshot, whatever
    dbt looked up before. (dbt-postgres sends no BEGIN of its own: psycopg2 does, before the first
    statement, so a hook outside the transaction would leave the mart without any.)

    Marts are built side by side, and `create table if not exists` alone may meet itself: so the
    first time, they wait for each other.
#}
{% macro begin_build() -%}
    {%- if not execute or not (is_built('build_inputs') and is_built('control_totals')) %}
    select pg_advisory_xact_lock(hashtext('omniledger build tables'));

    create table if not exists {{ build_table('build_inputs') }} (
        mart text not null,
        input_name text not null,
        llm_model text,
        valid_from timestamptz not null,
        valid_to timestamptz not null,
        content text
    );

    alter table {{ build_table('build_inputs') }} replica identity full;

    comment on table {{ build_table('build_inputs') }} is
    'What each mart was last built with besides its rows: settings, prices, models.';

    -- without its control totals, usage must be built as a whole
    delete from {{ build_table('build_inputs') }}
    where mart = 'fct_daily_usage' and to_regclass('{{ build_table('control_totals') }}') is null;

    create table if not exists {{ build_table('control_totals') }} (
        usage_date date primary key,
        requests bigint not null,
        errors bigint not null,
        blocked bigint not null,
        tool_calls bigint not null,
        tokens_input bigint,
        tokens_output bigint,
        tokens_cached bigint,
        tokens_cache_write bigint,
        tokens_total bigint,
        cost_recorded_usd numeric,
        built_xmin bigint not null
    );

    -- what an earlier version kept less in
    drop table if exists {{ build_table('usage_control') }};

    comment on table {{ build_table('control_totals') }} is
    'Sums of each day over the raw ledger, from the snapshot in which fct_daily_usage was built.';

    {%- endif %}
    commit;

    begin transaction isolation level repeatable read;
{%- endmacro %}


{#
    A table without a key, once it is made. A publication of all tables would refuse each delete
    from it.
#}
{% macro tell_rows_by_all_columns() -%}
    {%- if execute and config.get('materialized') != 'view' and not is_incremental() -%}
    alter table {{ this }} replica identity full
    {%- endif -%}
{%- endmacro %}
