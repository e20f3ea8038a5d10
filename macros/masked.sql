{# The same as omniledger/masking.py does to what commands say. #}
{% macro masked(text) -%}
    regexp_replace(
        regexp_replace(
            regexp_replace({{ text }}, '(\w+://[^\s:/]*:)\S+@', '\1***@', 'g'),
            '(https?://)[^\s:/]+@', '\1***@', 'g'
        ),
        '((?:password|passwd|pwd|secret|token|api_?key)\s*=\s*)(''[^'']*''\S*|\S+)', '\1***', 'gi'
    )
{%- endmacro %}
