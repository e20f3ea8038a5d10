{# Whether the raw rows of a day are gone, or may be: such a day is never built again. #}
{% macro is_pruned(day, prunings) -%}
    {{ day_starts_at(day) }} < coalesce((select max(before_at) from {{ prunings }}), '-infinity')
{%- endmacro %}


{#
    Where a mart is made anew, its pruned days come from what is published, with the stamps that
    they have there, so that publishing finds no difference.
#}
{% macro keep_pruned_days() -%}
    {%- set prunings = ref('stg_prunings') -%}
    {%- if execute and not is_incremental() -%}
    {%- if run_query('select 1 from ' ~ prunings ~ ' limit 1').rows | length -%}
    {%- set published = api.Relation.create(
        database=this.database, schema='analytics', identifier=this.identifier
    ) -%}
    {%- set columns = adapter.get_columns_in_relation(published) | map(attribute='quoted') | join(', ') -%}
    {%- if not columns -%}
        {%- do exceptions.raise_compiler_error(
            'The figures of pruned days are in ' ~ published ~ ' and nowhere else, and it is not '
            ~ 'there: restore it from a backup, then build again.'
        ) -%}
    {%- endif -%}
    {%- set day = config.get('unique_key') %}
    delete from {{ this }}
    where {{ is_pruned(day, prunings) }};

    insert into {{ this }} ({{ columns }})
    select {{ columns }}
    from {{ published }}
    where {{ is_pruned(day, prunings) }};
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
