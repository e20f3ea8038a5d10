{% macro possible_tokens(tokens) -%}
    case when {{ tokens }} between 0 and 1000000000000 then {{ tokens }} end
{%- endmacro %}


{# NaN sorts above every number, so it is left out as infinity is. #}
{% macro possible_cost(cost) -%}
    case when {{ cost }} between 0 and 1000000000000 then {{ cost }} end
{%- endmacro %}


{% macro share(part, whole) -%}
    trim_scale(round({{ part }} / nullif({{ whole }}, 0), 9))
{%- endmacro %}


{% macro row_key(columns) -%}
    md5(cast(jsonb_build_array({{ columns | join(', ') }}) as text))
{%- endmacro %}


{% macro build_stamp() -%}
    cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) as built_xmin,
    now() as built_at
{%- endmacro %}
