-- Texts without a backslash, or as e'', mean the same to every session.
create or replace function ledger.bare_model_name(name text) returns text
language sql immutable parallel safe
as $$
    select regexp_replace(
        lower(btrim(name)),
        '^(.*/)?((anthropic|azure|bedrock|google|google-gla|google-vertex|mistral|openai|openrouter|vertex_ai)[:])?((us|us-gov|eu|ap|apac|au|ca|jp|global)[.])?((ai21|amazon|anthropic|cohere|deepseek|google|meta|mistral|openai|qwen)[.])?',
        ''
    )
$$;

comment on function ledger.bare_model_name is
'The name of a model in lower case, without the path, the provider, the region and the maker that gateways put before it.';

create or replace function ledger.normal_model_name(name text) returns text
language sql immutable parallel safe
as $$
    select regexp_replace(
        regexp_replace(
            regexp_replace(
                ledger.bare_model_name(name),
                '(-latest|-v[0-9]+(:[0-9]+)?(:[0-9]+k)?|@(default|latest)|[-@]20[0-9]{6}|-20[0-9]{2}-[0-9]{2}-[0-9]{2}|:(beta|thinking)|[[]1m[]])+$',
                ''
            ),
            '^(claude.*[0-9])[.]([0-9])',
            e'\\1-\\2'
        ),
        '^(gemini.*[a-z])-00[0-9]$',
        e'\\1'
    )
$$;

comment on function ledger.normal_model_name is
'The bare name of a model without the date, revision, variant and `latest` behind it, a dot in the version of a Claude as a dash.';
