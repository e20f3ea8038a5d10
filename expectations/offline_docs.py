"""Data Docs pages that work without a network, without scripts, and with hostile data.

Great Expectations' own pages load style and scripts from half a dozen hosts, draw their index
with one of those scripts, and print sampled values as they are. Its templates can be replaced by
a view class, which the site's configuration names; what is not replaced comes from the package.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer.site_builder import DefaultSiteIndexBuilder, SiteBuilder
from great_expectations.render.renderer.site_index_page_renderer import SiteIndexPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader, pass_context
from jinja2.runtime import Context

from omniledger.report.navigation import links
from omniledger.strangers import visible

_ONLY_WARNED = "only warned"
"""What stands for success where rules failed, but none that stops the figures."""

_TEMPLATES = Path(__file__).parent / "data_docs"


class OfflineSite(SiteBuilder):
    """A site of pages that stand alone: the fonts and images for GX's own are not copied to it."""

    def build(
        self, resource_identifiers: list[Any] | None = None, build_index: bool = True
    ) -> tuple[Any, Any]:
        """Render the pages of some resources, and the index of all."""
        for section in self.site_section_builders.values():
            section.build(resource_identifiers=resource_identifiers)
        _, links = self.site_index_builder.build(build_index=build_index)
        return self.get_resource_url(only_if_exists=False), links


class OfflinePage(DefaultJinjaPageView):
    """A page of one validation, or of one suite."""

    def __init__(self, **directories: Any) -> None:
        super().__init__(**directories)
        ours, theirs = FileSystemLoader(_TEMPLATES), self.env.loader
        self.env.loader = ChoiceLoader([ours, theirs] if theirs is not None else [ours])
        self.env.globals["site_links"] = links

    def render(self, document: Any, template: Any = None, **values: Any) -> Any:
        """Render the page; what hides or turns text round is shown, as on the report."""
        page: str = super().render(  # type: ignore[no-untyped-call]
            document, template, **values
        )
        lines = page.split("\n")
        return "\n".join(line if line.isprintable() else visible(line) for line in lines)

    @pass_context
    def render_content_block(
        self, jinja_context: Context, content_block: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Render a block; text is text, whatever the database holds, and never markup."""
        if isinstance(content_block, list):
            content_block = [_escaped(block) for block in content_block]
        block = _escaped(content_block)
        return super().render_content_block(jinja_context, block, *args, **kwargs)


class OfflineIndex(OfflinePage):
    """The page that lists the validations, newest first."""


class SeverityIndexBuilder(DefaultSiteIndexBuilder):
    """An index that tells a suite that only warned from one that stopped the figures."""

    def add_resource_info_to_index_links_dict(
        self, index_links_dict: Any, expectation_suite_name: str, *args: Any, **facts: Any
    ) -> Any:
        """Add a page to those that the index leads to."""
        if facts.get("validation_success") is False:
            result: Any = self.data_context.get_validation_result(
                expectation_suite_name, facts["run_id"], facts["batch_identifier"]
            )
            if result.get_max_severity_failure() is not FailureSeverity.CRITICAL:
                facts["validation_success"] = _ONLY_WARNED
        return super().add_resource_info_to_index_links_dict(  # type: ignore[no-untyped-call]
            index_links_dict, expectation_suite_name, *args, **facts
        )


class SeverityIndexRenderer(SiteIndexPageRenderer):
    """An index whose marks are three: met, warned, stopped."""

    @classmethod
    def _render_validation_success_cell(cls, validation_success: Any) -> Any:
        cell: Any = super()._render_validation_success_cell(  # type: ignore[no-untyped-call]
            validation_success
        )
        if validation_success == _ONLY_WARNED:
            mark = cell.string_template["styling"]["params"]["validation_success"]
            mark["classes"] = ["fas", "fa-exclamation-triangle", "text-warning"]
        return cell


def _escaped(block: Any) -> Any:
    return html.escape(block) if isinstance(block, str) else block
