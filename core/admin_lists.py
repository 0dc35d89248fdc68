"""Change lists whose cost does not grow with their tables: bounded counts and searches, and known filter choices."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, IntegerField, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from core.text import visible

COUNTED = 1_000  # rows of a list that are counted and can be paged through
NEWEST = 5_000  # rows in which a search looks for words
NEWEST_HELP = _("Finds whole IDs among all rows, and words among the newest 5,000.")


class BoundedPaginator(Paginator):
    """Paginator that counts no more than COUNTED rows. Beyond the end it shows the last page.

    The list may have become shorter since the page's address was made.
    """

    @cached_property
    def counted(self) -> int:
        """Count the rows, as COUNTED + 1 if there are more than COUNTED."""
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNTED + 1].count())

    @cached_property
    @override
    def count(self) -> int:
        """Return the number of rows that can be paged through."""
        return min(self.counted, COUNTED)

    @property
    def is_cut(self) -> bool:
        """Return whether the list has more rows than can be paged through."""
        return self.count < self.counted

    @override
    def validate_number(self, number: Any) -> int:
        return min(max(int(number), 1), self.num_pages)


class BoundedList(ChangeList):
    """Change list that sorts only by the columns that it offers to sort by, because these have an index.

    A ModelAdmin names in `list_deferred` large columns that its list does not show.
    """

    @override
    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows.defer(*getattr(self.model_admin, "list_deferred", ()))

    @override
    def get_ordering_field(self, field_name: Any) -> Any:
        offered = self.sortable_by is None or field_name in self.sortable_by
        return super().get_ordering_field(field_name) if offered else None


class BoundedSearch:
    """Mixin for ModelAdmins of large tables, whose search looks for words only in the newest rows of the list.

    `ordering` begins with their time, newest first. `whole_terms` are look-ups that have an index: rows that match the
    whole term are found however old they are.
    """

    search_help_text: Any = NEWEST_HELP
    whole_terms: tuple[str, ...] = ("pk",)
    ordering: ClassVar[Any]
    model: type[Model]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows that match the term as a whole, and those of the newest that match its words."""
        term = search_term.strip()
        if not term:
            return queryset, False
        listed = queryset.order_by(*self.ordering)
        time = self.ordering[0].removeprefix("-")
        since = list(listed.values_list(time, flat=True)[NEWEST : NEWEST + 1])
        newest = queryset.filter(**{f"{time}__gt": since[0]}) if since else queryset
        matching, _has_duplicates = super().get_search_results(request, newest, search_term)  # type: ignore[misc]
        found = set(_keys(matching.order_by(*self.ordering)))
        for lookup in self.whole_terms:
            if lookup != "pk" or _is_key(self.model, term):
                found.update(_keys(listed.filter(**{lookup: term})))
        return queryset.filter(pk__in=found), False


def counted(rows: QuerySet[Any], by: str) -> Coalesce:
    """Return an expression for the number of these rows that refer to the outer row.

    Unlike a join, which is grouped before the page is cut out, it counts only for the rows of the page.
    """
    found = rows.filter(**{by: OuterRef("pk")}).order_by().values(by).annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(found, IntegerField()), 0)


def _keys(rows: QuerySet[Any]) -> Iterable[Any]:
    return rows.values_list("pk", flat=True)[: COUNTED + 1]


def _is_key(model: type[Model], term: str) -> bool:
    try:
        return model._meta.pk.to_python(term) is not None
    except ValidationError:
        return False


def choices_of(title: Any, field: str, known: Callable[[], Iterable[str]]) -> type[SimpleListFilter]:
    """Return a filter by the exact values of a field. `known` returns those to offer, without reading the table."""

    class KnownFilter(SimpleListFilter):
        parameter_name = field

        @override
        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            names = sorted(known())
            asked = self.value() or ""  # Django ignores a filter that has no choices
            return [(name, visible(name)) for name in (*names, *({asked} - {"", *names}))]

        @override
        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(Q(**{field: self.value()})) if self.value() else queryset

    KnownFilter.title = title
    return KnownFilter
