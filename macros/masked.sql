{# The same as omniledger/masking.py does to what commands say. #}
{% macro masked(text) -%}
    regexp_replace(
        regexp_replace(
            regexp_replace({{ text }}, '(\w+://[^\s:/]*:)\S+@', '\1***@', 'g'),
            '(https?://)[^\s:/]+@', '\1***@', 'g'
        ),
        '((?:password|passwd|passphrase|pwd|secret|authorization|(?<!unexpected )token'
        '|token(?!: (?:[^\s''"]{1,3}|''[^\s'']''|"[^\s"]")(?:\s|$))'
        '|(?:api|access|secret|private)[_-]?key)\\?["'']?\s*[=:]\s*)'
        '(''[^'']*''\S*|"(?:[^"\\]|\\"?)*"?|(?:bearer|basic)\s+\S+|[^[:space:]"]\S*)',
        '\1***', 'gi'
    )
{%- endmacro %}
