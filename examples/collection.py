"""A collection: numbered records with the views that list, show, create and delete them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from examples.backend import Record, Refusal, Reply, Request


class Collection:
    """Records by id, under one path.

    `required` are the fields that a new record must be given, `fresh` makes those it starts with.
    """

    def __init__(
        self,
        path: str,
        noun: str,
        records: Iterable[Record],
        required: tuple[str, ...] = (),
        fresh: Callable[[], Record] = dict,
    ) -> None:
        self.path = path
        self.noun = noun
        self.records = {int(record["id"]): record for record in records}
        self._required = required
        self._fresh = fresh
        self._last = max(self.records, default=0)

    def find(self, number: int) -> Record:
        """The record of that number, or a refusal with 404."""
        if number not in self.records:
            raise Refusal(404, f"There is no {self.noun} {number}.")
        return self.records[number]

    def add(self, fields: Record) -> Record:
        """A new record of these fields, under a number never used before."""
        self._last += 1
        self.records[self._last] = {"id": self._last} | self._fresh() | fields | {"id": self._last}
        return self.records[self._last]

    def many(self, request: Request) -> Reply:
        """GET: all records, narrowed by `?field=value` and cut off by `?limit=`."""
        return listing(self.records.values(), request)

    def one(self, request: Request, number: int) -> Reply:
        """GET: one record."""
        return Reply(body=self.find(number))

    def create(self, request: Request) -> Reply:
        """POST: a new record from the JSON body; 201 and where it now is."""
        given = request.json()
        missing = [name for name in self._required if given.get(name) in (None, "")]
        if missing:
            raise Refusal(400, f"A new {self.noun} needs: {', '.join(missing)}.")
        record = self.add(given)
        return created(request, f"{self.path}/{record['id']}", record)

    def remove(self, request: Request, number: int) -> Reply:
        """DELETE: forget one record; 204."""
        self.find(number)
        del self.records[number]
        return Reply(204)


def listing(records: Iterable[Record], request: Request) -> Reply:
    """A list reply: `items`, and `total`, which counts the matches before `?limit=`."""
    found = [record for record in records if _matches(record, request)]
    return Reply(body={"items": found[: _limit(request)], "total": len(found)})


def created(request: Request, path: str, record: Record) -> Reply:
    """201 with an absolute Location: servers name themselves, and a gateway must cope with it."""
    return Reply(201, record, {"Location": request.origin + path})


def now() -> str:
    """This moment as RFC 3339, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _matches(record: Record, request: Request) -> bool:
    """Whether every query parameter that names a field has the field's value."""
    return all(
        str(record[name]).lower() == value.lower()
        for name, value in request.query.items()
        if name in record
    )


def _limit(request: Request) -> int | None:
    text = request.query.get("limit")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= 1000):
        raise Refusal(400, "limit must be a whole number from 1 to 1000.")
    return int(text)
