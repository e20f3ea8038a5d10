create table if not exists ledger.model_names (
    name text primary key,
    model text not null,
    source text not null
);

comment on table ledger.model_names is
'Which model a name means: names as ledger.bare_model_name or ledger.normal_model_name leave them, and the one model whose prices and figures they share.';

create or replace function ledger.bare_model_name(name text) returns text
language sql immutable parallel safe
as $$
    select regexp_replace(
        lower(btrim(name)),
        '^(.*/)?((us|us-gov|eu|ap|apac|au|ca|jp|global)\.)?((ai21|amazon|anthropic|cohere|deepseek|google|meta|mistral|openai|qwen)\.)?',
        ''
    )
$$;

comment on function ledger.bare_model_name is
'The name of a model in lower case, without the path, the region and the maker that gateways put before it.';

create or replace function ledger.normal_model_name(name text) returns text
language sql immutable parallel safe
as $$
    select regexp_replace(
        regexp_replace(
            ledger.bare_model_name(name),
            '(-latest|-v[0-9]+(:[0-9]+)?|@(default|latest)|[-@]20[0-9]{6}|-20[0-9]{2}-[0-9]{2}-[0-9]{2})+$',
            ''
        ),
        '^(claude.*[0-9])\.([0-9])',
        '\1-\2'
    )
$$;

comment on function ledger.normal_model_name is
'The bare name of a model without the date, revision and `latest` behind it, a dot in the version of a Claude as a dash.';

create or replace function ledger.canonical_model(name text) returns text
language sql stable parallel safe
as $$
    select coalesce(
        (
            select n.model from ledger.model_names as n
            where n.name = ledger.bare_model_name(canonical_model.name)
        ),
        (
            select n.model from ledger.model_names as n
            where n.name = ledger.normal_model_name(canonical_model.name)
        )
    )
$$;

comment on function ledger.canonical_model is
'The one model that a name means, by ledger.model_names: the bare name goes before the normal one, as a dated model may have a price of its own. NULL where nobody knows it.';

insert into ledger.model_names (name, model, source)
select distinct p.model, p.model, p.source
from ledger.model_prices as p
where p.valid_from = '-infinity'
on conflict do nothing;
