"""The rules of FOCUS 1.2 for a row of cost and usage, written from the specification's text.

Which columns there are, which may be null, which values are allowed, and what holds between them.
Column by column: https://focus.finops.org/focus-specification/v1-2/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

COLUMNS = (
    *("AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName"),
    *("BillingAccountType", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart"),
    *("CapacityReservationId", "CapacityReservationStatus", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart"),
    *("CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName"),
    *("CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType"),
    *("CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedCost"),
    *("ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost"),
    *("ListUnitPrice", "PricingCategory", "PricingCurrency"),
    *("PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost"),
    *("PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "ProviderName"),
    *("PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType"),
    *("ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter"),
    *("SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName", "SubAccountType", "Tags"),
)

NEVER_NULL = (
    *("BilledCost", "BillingAccountId", "BillingAccountType", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeFrequency"),
    *("ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost"),
    *("InvoiceIssuerName", "ListCost", "PricingCurrency", "ProviderName", "PublisherName"),
    *("PricingCurrencyEffectiveCost", "ServiceCategory", "ServiceName", "ServiceSubcategory"),
)

NUMBERS = (
    *("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost"),
    *("ConsumedQuantity", "PricingQuantity", "ListUnitPrice", "ContractedUnitPrice"),
    *("PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice"),
)

ALLOWED: Mapping[str, set[str | None]] = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {None, "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {None, "Standard", "Dynamic", "Committed", "Other"},
    "BillingCurrency": {"USD"},
    "PricingCurrency": {"USD"},
    "ServiceCategory": {"AI and Machine Learning"},
    "ServiceSubcategory": {
        *("Bots", "Generative AI", "Machine Learning", "Natural Language Processing"),
        "Other (AI and Machine Learning)",
    },
    "CommitmentDiscountStatus": {None, "Used", "Unused"},
    "CapacityReservationStatus": {None, "Used", "Unused"},
}

NEEDED_FOR_USAGE = (
    *("ConsumedQuantity", "ConsumedUnit", "ListUnitPrice", "ContractedUnitPrice"),
    *("PricingCategory", "PricingQuantity", "PricingUnit", "SkuId", "SkuPriceId", "SkuMeter"),
)

NULL_TOGETHER = (
    ("CommitmentDiscountId", "CommitmentDiscountCategory", "CommitmentDiscountType"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
    ("RegionId", "RegionName"),
    ("SubAccountId", "SubAccountName", "SubAccountType"),
    ("CapacityReservationId", "CapacityReservationStatus"),
)

Row = Mapping[str, Any]


def broken(row: Row) -> Iterator[str]:
    """Each rule that a row breaks; numbers are decimals, times aware, empty cells None."""
    yield from (f"{name} is null" for name in NEVER_NULL if row[name] is None)
    yield from (
        f"{name} is {row[name]!r}" for name, values in ALLOWED.items() if row[name] not in values
    )
    for names in NULL_TOGETHER:
        if len({row[name] is None for name in names}) > 1:
            yield f"only some of {names} are null"
    for name in NUMBERS:
        if row[name] is not None and not Decimal(row[name]).is_finite():
            yield f"{name} is no number"
    yield from _usage(row)
    yield from _periods(row)
    if row["Tags"] is not None and not isinstance(json.loads(row["Tags"]), dict):
        yield "Tags is no JSON object"


def _usage(row: Row) -> Iterator[str]:
    if row["ChargeCategory"] == "Usage" and row["ChargeClass"] is None:
        yield from (f"{name} is null" for name in NEEDED_FOR_USAGE if row[name] is None)
    elif row["ChargeCategory"] != "Usage" and row["ConsumedQuantity"] is not None:
        yield "ConsumedQuantity is of no usage"
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if row[price] is not None and row[price] * row["PricingQuantity"] != row[cost]:
            yield f"{price} x PricingQuantity is not {cost}"
        if row[price] is not None and row[price] < 0:
            yield f"{price} is below zero"


def _periods(row: Row) -> Iterator[str]:
    first: datetime = row["BillingPeriodStart"]
    if not first <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]:
        yield "the charge lies outside its billing period"
