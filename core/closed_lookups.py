"""Restrictions of all admin pages, including other packages': no lookups that are not offered, no impossible values.

Django's admin filters by any column of a model, shown or not: a user who may open a list could read a hidden column
letter by letter with `?secret__startswith=`. Here a list accepts only the lookups that its own filters make.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.db.models import DateField, Model
from django.http import Http404, HttpRequest, QueryDict
from django.utils.translation import gettext as _

from core.admin_lists import BoundedList, BoundedPaginator
from core.text import is_storable

WORDS = 20  # in a search: each one is a condition on each searched column
LETTERS = 500  # in a search
IMPOSSIBLE = (IncorrectLookupParameters, ValidationError, ValueError, OverflowError, DataError)


def is_sound(params: QueryDict) -> bool:
    """Return whether a database can hold each name and value of a query string."""
    return all(is_storable(text) for name, values in params.lists() for text in (name, *values))


class ClosedAdmin:
    """Mixin for ModelAdmins that allows only listed lookups and handles any query string without a server error.

    No list counts its whole table.

    It goes before ModelAdmin in the order of bases; the admin site does this for every registered class. A ModelAdmin
    names in `extra_lookups` the lookups that our own links use in addition to the list's filters.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    model: type[Model]
    opts: Any
    date_hierarchy: str | None
    get_list_filter: Any

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return whether the page itself offers this lookup."""
        if lookup in getattr(self, "extra_lookups", ()):
            return True
        is_offered = lookup in set(self._offered(request))
        return is_offered and bool(super().lookup_allowed(lookup, value, request))  # type: ignore[misc]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the change list: ours, unless the ModelAdmin has one."""
        made: type[ChangeList] = super().get_changelist(request, **kwargs)  # type: ignore[misc]
        return BoundedList if made is ChangeList else made

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the change list. Raises BadRequest for a value that no column can hold."""
        if not is_sound(request.GET):
            raise BadRequest("The query string contains characters that can't be searched for.")
        try:
            return super().get_changelist_instance(request)  # type: ignore[misc]
        except IMPOSSIBLE as error:
            raise BadRequest("The filter of this list is not valid.") from error

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return None for an id with a NUL, as Django decodes `_00` in a path. Ignore an empty `?_to_field=`."""
        if not is_storable(object_id):
            return None
        return super().get_object(request, object_id, from_field or None)  # type: ignore[misc]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Return no rows, and warn the user, if the search would make too large a query."""
        if len(search_term) > LETTERS or len(search_term.split()) > WORDS:
            limits = {"words": WORDS, "letters": LETTERS}
            messages.warning(request, _("Search for at most %(words)s words and %(letters)s characters.") % limits)
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)  # type: ignore[misc]

    def response_action(self, request: HttpRequest, queryset: Any) -> Any:
        """Run the action. Raises BadRequest for ids that no row can have, by which Django would filter."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.to_python(key)
            except IMPOSSIBLE as error:
                raise BadRequest("A selected row has an invalid ID.") from error
            if not is_storable(key):
                raise BadRequest("A selected row has an invalid ID.")
        return super().response_action(request, queryset)  # type: ignore[misc]

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Raise Http404. Django would redirect to the first page as if the address were valid."""
        raise Http404

    def _offered(self, request: HttpRequest) -> Iterator[str]:
        """Yield the lookups that the filters of this list make."""
        for one in self.get_list_filter(request):
            if isinstance(one, type):
                yield one.parameter_name  # type: ignore[attr-defined]
            else:
                yield from self._of_field(one[0] if isinstance(one, list | tuple) else one)
        if self.date_hierarchy:
            yield from (f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day"))

    def _of_field(self, path: str) -> Iterator[str]:
        field: Any = get_fields_from_path(self.model, path)[-1]
        yield path
        yield from (f"{path}__{name}" for name in ("exact", "isnull", "isempty"))
        if isinstance(field, DateField):
            yield from (f"{path}__{name}" for name in ("gte", "lt"))
        if target := getattr(field, "target_field", None):
            yield f"{path}__{target.name}__exact"


def closed(admin_class: type[Any]) -> type[Any]:
    """Return the class with `ClosedAdmin` before its bases, or unchanged if it is already among them."""
    if issubclass(admin_class, ClosedAdmin):
        return admin_class
    return type(admin_class.__name__, (ClosedAdmin, admin_class), {"__module__": admin_class.__module__})
