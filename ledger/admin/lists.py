"""Lists over millions of rows that open at once: every order and every filter here is one that an index serves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter, RangeDateFilter

from clients.admin_base import FactsAdmin
from ledger.rules.words import Mode

OF_BOT = "bot__id__exact"
NEWEST_OF_CLIENT = 2000
NEWEST_OF_EACH_BOT = 500


def chosen_bot(request: HttpRequest) -> UUID | None:
    """The bot that the list is narrowed to."""
    return as_uuid(request.GET.get(OF_BOT, ""))


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


class LedgerFacts(FactsAdmin):
    """Facts of the ledger. Without a bot a list is in the order of its primary key, which grows with time; of one bot it
    is in the order of that bot's index. Columns are never sorted by, since few have an index."""

    ordering: tuple[Any, ...] = ("-id",)
    ordering_of_bot: tuple[str, ...] = ()
    at = ""
    list_select_related: tuple[str, ...] = ("bot",)
    list_filter_submit = True
    list_fullwidth = True
    list_before_template = "admin/bridge/ledger_list_note.html"
    sortable_by: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.fieldsets:
            cls.readonly_fields = tuple(flatten_fieldsets(cls.fieldsets))  # Django wants to be told of what is no field

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        return self.ordering_of_bot if self.ordering_of_bot and chosen_bot(request) else self.ordering

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Only what stands in an index, and all of it: ids, here and there."""
        term = search_term.strip().replace("\x00", "")
        return (queryset.filter(self.found(term)), False) if term and self.search_fields else (queryset, False)

    def found(self, term: str) -> Q:
        """Which rows a search for ``term`` finds."""
        return Q(pk=as_uuid(term)) if as_uuid(term) else Q(self.ids_of(SOURCE_IDS, [term]))

    def ids_of(self, sql: str, params: Iterable[Any]) -> RawSQL:
        """True for the rows whose id ``sql`` selects (``{table}`` and ``{at}`` are this model's): asked once, before."""
        table = self.model._meta.db_table
        inner = sql.format(table=table, at=self.at)
        return RawSQL(f"{table}.id = ANY(ARRAY({inner}))", list(params), output_field=BooleanField())  # noqa: S611


# An old id is unique within a bot and a source, so each bot's part of the index is looked at.
SOURCE_IDS = (
    "SELECT x.id FROM bots b CROSS JOIN LATERAL (SELECT t.id FROM {table} t WHERE t.bot_id = b.id AND t.source_id = %s "
    "AND t.source_id <> '' LIMIT 10) x"
)
OF_CLIENT = f"""
    SELECT x.id FROM bots b CROSS JOIN LATERAL (SELECT t.id, t.{{at}} FROM {{table}} t WHERE t.bot_id = b.id
                                                 ORDER BY t.{{at}} DESC LIMIT {NEWEST_OF_EACH_BOT}) x
     WHERE b.client_id = %s ORDER BY x.{{at}} DESC LIMIT {NEWEST_OF_CLIENT}
"""  # noqa: S608 - made of constants


class BotChooser(AutocompleteSelectFilter):
    """One bot, found by typing."""


class ClientChooser(AutocompleteSelectFilter):
    """One client: the newest rows of each of its bots, read by their index. There is none by client."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        client = as_uuid(self.value())
        if client is None:
            return queryset.none()
        if chosen_bot(request):
            return queryset.filter(client_id=client)
        return queryset.filter(self.model_admin.ids_of(OF_CLIENT, [client]))


class Days(RangeDateFilter):
    """From one day to another, both whole, in UTC."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.field_path
        begin, end = self._day("from"), self._day("to")
        if begin:
            queryset = queryset.filter(**self.since(begin))
        if end:
            queryset = queryset.filter(**{f"{name}__lt": end + timedelta(days=1)})
        return queryset

    def since(self, begin: datetime) -> dict[str, Any]:
        return {f"{self.field_path}__gte": begin}

    def _day(self, edge: str) -> datetime | None:
        text = str(self.used_parameters.get(f"{self.field_path}_{edge}") or "")
        try:
            day = parse_date(text)
        except ValueError:
            day = None
        return datetime.combine(day, time.min, UTC) if day else None


class DaysOfBot(Days):
    """The same where only a bot's index knows the time."""

    def has_output(self) -> bool:
        return bool(self.request and chosen_bot(self.request))


class OfBotFilter(DropdownFilter):
    """A choice that is offered within one bot only: over all of them it would read the whole table."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        bot = chosen_bot(request)
        return self.words(bot) if bot else []

    def words(self, bot: UUID) -> list[tuple[str, str]]:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


def of_bot(name: str, kind: Any) -> type[OfBotFilter]:
    """A filter within one bot by a column that holds one of few words."""

    class Chosen(OfBotFilter):
        title = name.replace("_", " ")
        parameter_name = column = name

        def words(self, bot: UUID) -> list[tuple[str, str]]:
            return [(str(word), str(word).replace("_", " ")) for word in kind]

    return Chosen


MODES = of_bot("mode", Mode)
