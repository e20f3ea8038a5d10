do $omniledger$
begin
    if exists (
        select from pg_roles
        where rolname = 'omniledger_runner' and has_schema_privilege(oid, 'ledger', 'usage')
    ) then
        grant insert, update, delete
        on ledger.forced_publications, ledger.gate_results, ledger.pruned_servers, ledger.prunings
        to omniledger_runner;
    end if;
end
$omniledger$
