{#
    For small tables that are computed as a whole. Views may read such a table, as it is never
    dropped.
#}
{% macro get_incremental_changed_rows_sql(arguments) -%}
    {%- set target = arguments['target_relation'] -%}
    {%- set source = arguments['temp_relation'] -%}
    {%- set key = arguments['unique_key'] -%}
    {%- set names = arguments['dest_columns'] | map(attribute='name') | list -%}
    {%- set said = names | reject('in', ['built_xmin', 'built_at']) | join(', other.') -%}

    delete from {{ target }} as one
    where not exists (
        select 1
        from {{ source }} as other
        where
            other.{{ key }} = one.{{ key }}
            and (other.{{ said }}) is not distinct from (one.{{ said | replace('other.', 'one.') }})
    );

    insert into {{ target }} ({{ names | join(', ') }})
    select {{ names | join(', ') }}
    from {{ source }} as one
    where not exists (
        select 1
        from {{ target }} as other
        where other.{{ key }} = one.{{ key }}
    );
{%- endmacro %}
