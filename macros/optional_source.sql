{% macro optional_columns(relation, types) -%}
    {%- set present = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- for name, type in types.items() %}
        {%- set value = adapter.quote(name) if name in present else 'null' %}
        cast({{ value }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro optional_relation(relation) -%}
    {%- if adapter.get_columns_in_relation(relation) -%}
        {{ relation }}
    {%- else -%}
        (select where false) as missing_relation
    {%- endif -%}
{%- endmacro %}
