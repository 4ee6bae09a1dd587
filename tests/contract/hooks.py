"""What schemathesis needs to know of the salon it calls: ids that exist, and what JSON Schema has no words for.

CONTRACT_SALON names the file with the salon's ids, by kind; `cargo xtask test` writes it.
"""

import json
import os
import re
import uuid
import zlib
from datetime import datetime, timedelta
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

with open(os.environ["CONTRACT_SALON"]) as file:
    SALON = json.load(file)

SCOPE = re.compile(r"/v1/([a-z-]+)/\{id\}")
ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
WHEN = re.compile(r"(19[7-9]|20\d|21\d)\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d.*")

# What the ids in a path are of, where it is not the path without its last letter.
KINDS = {"staff": "staff", "waitlist": "waitlist_entry"}

schemathesis.openapi.format("time-zone", st.sampled_from(sorted(available_timezones() - {"Factory", "localtime"})))


def pick(kind, value):
    """An id that exists; the same value always gives the same one."""
    ids = SALON.get(kind, [])
    return ids[zlib.crc32(value.encode()) // 4 % len(ids)] if ids else value


def is_instant(value):
    try:
        return INSTANT.fullmatch(value) and datetime.fromisoformat(value)
    except ValueError:
        return False


def there(name, value):
    """A field's value, with ids that exist and times that are ahead wherever it fits the document at all."""
    if isinstance(value, dict):
        return {key: there(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        items = [there(name, inner) for inner in value]
        # Two ids that became the same one would no longer be each once.
        return list(dict.fromkeys(items)) if name.endswith("_ids") and all(isinstance(item, str) for item in items) else items
    # JSON Schema takes 45.0 for a whole number, and so may a caller; what writes JSON writes 45.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if not isinstance(value, str):
        return value
    if name.endswith(("_id", "_ids")) and ID.fullmatch(value):
        kind = re.sub("_ids?$", "", name)
        return pick({"manager": "staff"}.get(kind, kind), value)
    if name in ("start", "from") and WHEN.fullmatch(value):
        ahead = timedelta(minutes=15 * (zlib.crc32(value.encode()) % 50_000))
        return (datetime.fromisoformat(SALON["now"][:16]) + timedelta(days=2) + ahead).isoformat()
    if name == "start_at" and WHEN.fullmatch(value) or name == "expires_at" and is_instant(value):
        ahead = timedelta(minutes=15 * (zlib.crc32(value.encode()) % 20_000))
        return (datetime.fromisoformat(SALON["now"][:16]) + timedelta(days=2) + ahead).isoformat() + "Z"
    # No pattern says that at most 64 characters stand before the @.
    if name == "email" and value.count("@") == 1 and value.index("@") > 64:
        return value[value.index("@") - 1 :]
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    scope = SCOPE.match(case.path)
    named = (case.path_parameters or {}).get("id")
    # An id with one of these in it, as it is or encoded already, is another path.
    for name, value in (case.path_parameters or {}).items():
        if isinstance(value, str):
            case.path_parameters[name] = re.sub("[/?#]|%2[fF]|%3[fF]|%23", "-", value)
    # Three times out of four one that exists.
    if scope and isinstance(named, str) and ID.fullmatch(named) and zlib.crc32(named.encode()) % 4:
        named = case.path_parameters["id"] = pick(KINDS.get(scope[1], scope[1][:-1]), named)
    if isinstance(case.body, dict):
        case.body = there("", case.body)
        # A booking of this client's, if it is known to have one.
        if case.path.startswith("/v1/clients/{id}/") and ID.fullmatch(str(case.body.get("booking_id", ""))):
            if not (own := SALON["bookings_of"].get(named)):
                del case.body["booking_id"]
            else:
                case.body["booking_id"] = own
        if WHEN.fullmatch(str(case.body.get("from", ""))) and WHEN.fullmatch(str(case.body.get("until", ""))):
            case.body["until"] = (datetime.fromisoformat(case.body["from"]) + timedelta(hours=9)).isoformat()
    # The key that all calls are made with must not be taken away.
    if named and named in os.environ["CONTRACT_KEY"]:
        case.path_parameters["id"] = "another"
    # Blanks around a header's value are no part of it: what is wrong by them alone would be taken.
    for name, value in (case.headers or {}).items():
        if isinstance(value, str) and value != value.strip():
            case.headers[name] = "x" * 256
    # A key that was used for another request is refused, as it should be.
    if KEY.fullmatch(str((case.headers or {}).get("Idempotency-Key", ""))):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    # One that looks like a cursor, and which no page gave.
    if "cursor" in (case.query or {}):
        of = next(parameter.definition for parameter in case.operation.query if parameter.name == "cursor")
        if re.search(of["schema"]["pattern"], str(case.query["cursor"])):
            del case.query["cursor"]
