{#
    Views are replaced in place. dbt's own way renames and drops them with CASCADE: several threads
    that do so to views over one another deadlock now and then, and whoever reads in between finds
    nothing. Only where PostgreSQL can't replace a view, as its columns are others, is it dropped.
#}
{% materialization view, adapter='postgres' -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and not existing.is_view -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}

    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}

    {%- call statement('main') -%}
        do $replace_view$
        begin
            create or replace view {{ target_relation }} as (
                {{ sql }}
            );
        exception
            when invalid_table_definition then
                drop view {{ target_relation }} cascade;
                create view {{ target_relation }} as (
                    {{ sql }}
                );
        end
        $replace_view$
    {%- endcall -%}

    {%- set should_revoke = should_revoke(existing, full_refresh_mode=True) -%}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=should_revoke) -%}
    {%- do persist_docs(target_relation, model) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
