"""The one sentence that says what became of the old rows."""


def sentence(
    *,
    total: int,
    copied: int,
    matched: int,
    quarantined: int,
    holds: bool | None,
    detail: str | None = None,
    mended: int = 0,
    deleted: int = 0,
) -> str:
    """What a person reads of a certificate, without a full stop.

    Args:
        holds: None where nobody has certified yet.
        detail: what does not hold.
        mended: rows that were in quarantine and are in the ledger now.
        deleted: rows that were deleted since the merge.
    """
    parts = [f"{copied:,} copied", f"{matched:,} matched", f"{quarantined:,} in quarantine"]
    parts += [f"{mended:,} mended since"] if mended else []
    parts += [f"{deleted:,} deleted since"] if deleted else []
    if holds is None:
        proof = "not certified yet"
    else:
        proof = "proved to the last digit" if holds else f"not proved: {detail}"
    return f"{total:,} old rows = {' + '.join(parts)}; {proof}"
