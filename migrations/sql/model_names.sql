create table if not exists ledger.model_names (
    name text primary key,
    model text not null,
    source text not null
);

comment on table ledger.model_names is
'Which model a name means: names as ledger.bare_model_name or ledger.normal_model_name leave them, and the one model whose prices and figures they share.';

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
